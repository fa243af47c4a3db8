"""Run every check, or those that are named: python -m lint [CHECK ...]. Ends non-zero when one finds anything."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lint import asl, files, permissions, rules, validators, walls
from lint.findings import Finding

BIN = Path(sys.executable).parent
TYPED = ["cli", "functions", "layers/shared/python/boxcar", "lint", "local", "models", "neuron"]


@dataclass(frozen=True)
class Check:
    """One check: what it needs to be there, and what it finds."""

    name: str
    about: str
    run: Callable[[Path], list[Finding]]
    needs: str = ""  # a pattern of files; without any there is nothing to check yet


def tool(*command: str) -> Callable[[Path], list[Finding]]:
    """Return a check that runs a program of .venv and reads `file:line: message` lines from it."""

    def run(root: Path) -> list[Finding]:
        program = [str(BIN / command[0]), *command[1:]]
        done = subprocess.run(program, capture_output=True, text=True, check=False, cwd=root)
        said = (done.stdout + done.stderr).strip()
        found = [Finding(match[1], match[2], match[3]) for match in LINE.finditer(said)]
        return found or [Finding(".", command[0], said)] if done.returncode else []

    return run


def types(root: Path) -> list[Finding]:
    """Run mypy on every package that exists."""
    present = [folder for folder in TYPED if any((root / folder).rglob("*.py"))]
    return tool("mypy", "--no-error-summary", *present)(root)


LINE = re.compile(r"^([^:\n]+):(\d+)(?::\d+)?: (?!note:)(?:error: )?(.*)$", re.MULTILINE)
RUFF = ("--quiet", "--output-format=concise", ".")
MACHINES, TEMPLATE = "statemachines/*.asl.json", "template.yaml"
CHECKS = [
    Check("sam", "sam validate --lint", validators.sam_validate, TEMPLATE),
    Check("cfn", "cfn-lint on the expanded template", validators.cfn_lint, TEMPLATE),
    Check("mypy", "types", types),
    Check("ruff", "style and likely mistakes", tool("ruff", "check", *RUFF)),
    Check(
        "format",
        "layout; `make format` mends it",
        tool("ruff", "format", "--check", *RUFF),
    ),
    Check("statelint", "state machines, by statelint", validators.statelint, MACHINES),
    Check("asl-validator", "state machines, by asl-validator", validators.asl_validator, MACHINES),
    Check("asl", "state machines: variables, API shapes, ends, retries, comments", asl.check, MACHINES),
    Check("rules", "what the team asks of every resource", rules.check, TEMPLATE),
    Check("permissions", "every IAM statement", permissions.check, TEMPLATE),
    Check("hadolint", "Dockerfiles, by hadolint", validators.hadolint, "neuron/containers/*/Dockerfile"),
    Check("walls", "who imports whom, nothing at import, no laptop branches", walls.check),
    Check("files", "names, registries, length", files.check),
]


def main(names: list[str]) -> int:
    """Run the checks called `names` (all when empty), print what they find, return the exit code."""
    unknown = set(names) - {check.name for check in CHECKS}
    if unknown:
        print(f"lint: no check {', '.join(sorted(unknown))}; there are {', '.join(check.name for check in CHECKS)}")
        return 2
    root = Path.cwd()
    chosen = [check for check in CHECKS if not names or check.name in names]
    errors = 0
    # The slow ones come first and wait on other programs, so two at a time keep both cores busy.
    with ThreadPoolExecutor(2) as pool:
        for check, (findings, seconds) in zip(chosen, pool.map(lambda one: timed(one, root), chosen), strict=True):
            if findings is None:
                print(f"skip  {check.name}: there is no {check.needs} yet", flush=True)
                continue
            wrong = [finding for finding in findings if not finding.warning]
            errors += len(wrong)
            print(f"{'FAIL' if wrong else 'ok':5} {check.name}: {check.about} ({seconds:.1f} s)", flush=True)
            for finding in findings:
                print(f"      {finding}", flush=True)
    print(f"lint: {errors} to mend" if errors else f"lint: {len(chosen)} checks found nothing to mend")
    return 1 if errors else 0


def timed(check: Check, root: Path) -> tuple[list[Finding] | None, float]:
    """Return what a check finds (None: there is nothing to check) and how long it took, in seconds."""
    started = time.monotonic()
    if check.needs and not any(root.glob(check.needs)):
        return None, 0.0
    try:
        findings = check.run(root)
    except Exception as error:  # a check that breaks is a check that fails, and the others still run
        findings = [Finding(check.needs or ".", check.name, f"{type(error).__name__}: {error}")]
    return findings, time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
