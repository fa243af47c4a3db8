"""`python -m local up|down|reset|status`: the embedded cloud without the `boxcar` command."""

import argparse
import sys
from pathlib import Path

from local.server import PORT, STATE, ServerError, down, reset, status, up


def main() -> int:
    """Parse the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local", description="The AWS that Boxcar needs, on this machine.")
    parser.add_argument("command", choices=["up", "down", "reset", "status"])
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--state", type=Path, default=STATE, help=f"its folder ({STATE})")
    parser.add_argument("--detach", action="store_true", help="up: return when it is ready")
    arguments = parser.parse_args()
    try:
        return _run(arguments)
    except ServerError as error:
        print(f"boxcar local: {error}", file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace) -> int:
    state: Path = arguments.state
    if arguments.command == "up":
        running = up(arguments.port, state, arguments.detach)
        print(f"ready at {running.endpoint} (pid {running.pid}), state in {running.state}")
    elif arguments.command == "down":
        print("stopped, state kept" if down(state) else f"no cloud runs on {state}")
    elif arguments.command == "reset":
        reset(state)
        print(f"{state} is empty")
    else:
        found = status(state)
        print(f"runs at {found.endpoint} (pid {found.pid})" if found else f"no cloud runs on {state}")
        return 0 if found else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
