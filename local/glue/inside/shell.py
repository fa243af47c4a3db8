"""Runs the script of a Python shell job: standard error to a log of its own, the last exception into a file.

python shell.py <script> <error log> <message file> [--name value …]
"""

import contextlib
import os
import runpy
import sys
import traceback
from pathlib import Path


def main() -> int:
    """Run it and return the exit code."""
    script, errors, message, *arguments = sys.argv[1:]
    descriptor = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 2)
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path(script).parent)
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if end.code is None or end.code == 0:
            return 0
        text = f"SystemExit: {end.code}"
        print(end.code, file=sys.stderr)
    except BaseException as error:
        trace = error.__traceback__
        while trace and trace.tb_frame.f_code.co_filename in (__file__, "<frozen runpy>", runpy.__file__):
            trace = trace.tb_next
        traceback.print_exception(type(error), error, trace)
        text = "".join(traceback.format_exception_only(error)).strip()
    else:
        return 0
    with contextlib.suppress(OSError):
        Path(message).write_text(text)
    return 1


if __name__ == "__main__":
    sys.exit(main())
