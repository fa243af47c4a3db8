"""Names in expressions, checked before anything runs: variables, `$states` members, functions."""

from __future__ import annotations

from local.stepfunctions.definition import Diagnostic, Program


def check_variables(program: Program) -> list[Diagnostic]:
    """Problems with the names that expressions and Assign use."""
    return []
