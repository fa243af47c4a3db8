"""The log of a model server's requests."""

import io
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.sagemaker.inside.serving import Handler


def test_requests_that_end_at_the_same_time_are_a_line_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = object.__new__(Handler)
    log = tmp_path / "log"
    with log.open("wb", buffering=0) as raw, ThreadPoolExecutor(8) as threads:
        stream = io.TextIOWrapper(raw, write_through=True)  # as Python's output is with PYTHONUNBUFFERED
        monkeypatch.setattr(sys, "stdout", stream)
        list(threads.map(lambda n: handler.log_message("request %d", n), range(4000)))
        monkeypatch.undo()
    assert sorted(log.read_text().splitlines()) == sorted(f"request {n}" for n in range(4000))
