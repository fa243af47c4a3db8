"""The check of MiniStack's insides names what differs from the pinned version. That it passes, every start shows."""

import subprocess
import sys
from pathlib import Path

# MiniStack reads its settings at import and patches other packages, so this is a process of its own.
PROGRAM = """
import pathlib, sys
from local import ministack_seam as seam
seam.configure(pathlib.Path(sys.argv[1]), 4999, "us-east-1", "000000000000")
from ministack.services import lambda_svc, sns, scheduler
lambda_svc._execute_function_warm = lambda function, event: None
del sns._fanout
scheduler._ticker_loop = print
try:
    seam.check()
except seam.SeamError as error:
    print(error)
"""


def test_what_changed_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    told = subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL)
    assert told.splitlines() == [
        "MiniStack is not what local/ministack_seam expects:",
        "  ministack.services.lambda_svc._execute_function_warm: expected (func event request_id), found (function event)",
        "  ministack.services.sns._fanout: is gone",
        "  ministack.services.scheduler._ticker_loop: does not call '_tick_schedules()' any more, so replacing that has no effect",
    ]
