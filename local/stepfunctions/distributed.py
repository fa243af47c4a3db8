"""Distributed Map: every item, or batch of items, is a child execution of its own."""

from __future__ import annotations

from typing import Any

from local.stepfunctions import branches
from local.stepfunctions import definition as asl
from local.stepfunctions.strand import Outcome, RuntimeFailure, Strand


async def map_state(strand: Strand, state: asl.Map, value: Any, text: str) -> Outcome:
    """Map, in the mode its processor asks for."""
    if not state.distributed:
        return await branches.inline_map(strand, state, value, text)
    raise RuntimeFailure(f"The state '{state.name}' is a distributed Map, which this engine does not run yet.")
