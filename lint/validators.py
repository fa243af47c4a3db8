"""The checkers of others, on files that they read rightly.

The Amazon States Language lets TimeoutSeconds and Seconds be JSONata expressions, BackoffRate a whole number and any
string be empty (https://states-language.net/spec.html); statelint 3.1.0, asl-validator 4.0.0 and cfn-lint 1.58.0 each
refuse one of the three. They get a copy in which those places hold values they know; nothing else differs.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from lint import template
from lint.findings import Finding

BIN = Path(sys.executable).parent


def readable(value: Any, field: str = "") -> Any:
    """Return a state machine, or part of one, without what validators misread."""
    if isinstance(value, dict):
        return {key: readable(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [readable(item, field) for item in value]
    if field in ("TimeoutSeconds", "HeartbeatSeconds", "Seconds") and isinstance(value, str) and value.startswith("{%"):
        return 60
    if field == "BackoffRate" and isinstance(value, int):
        return float(value)
    return "text" if value == "" else value


def statelint(root: Path) -> list[Finding]:
    """Run statelint on every state machine."""
    return _on_machines(root, [str(BIN / "statelint")])


def asl_validator(root: Path) -> list[Finding]:
    """Run asl-validator, a Node program, on every state machine."""
    program = root / "node_modules" / ".bin" / "asl-validator"
    if not program.exists():
        return [Finding("package.json", "asl-validator", "is not installed; run `make lint`, which installs it")]
    return _on_machines(root, [str(program), "--json-path"])


def hadolint(root: Path) -> list[Finding]:
    """Run hadolint on every Dockerfile."""
    files = sorted(root.glob("neuron/containers/*/Dockerfile"))
    command = [str(BIN / "hadolint"), "--no-color"]
    return [finding for path in files for finding in _run([*command, str(path)], root)]


def cfn_lint(root: Path) -> list[Finding]:
    """Run cfn-lint on the expanded template; lines are those of `.boxcar/lint/template.json`."""
    expanded = template.read(root / "template.yaml").expanded
    resources = {
        name: readable(resource) if resource["Type"] == "AWS::StepFunctions::StateMachine" else resource
        for name, resource in expanded["Resources"].items()
    }
    target = _folder(root) / "template.json"
    target.write_text(json.dumps(expanded | {"Resources": resources}, indent=1, default=str))
    return _run([str(BIN / "cfn-lint"), "--format", "parseable", "--regions", "us-east-1", "--", str(target)], root)


def sam_validate(root: Path) -> list[Finding]:
    """Run `sam validate --lint` on the template as it is written."""
    command = [
        str(BIN / "sam"),
        "validate",
        "--lint",
        "--region",
        "us-east-1",
        "--template",
        str(root / "template.yaml"),
    ]
    return _run(command, root)


def _on_machines(root: Path, command: list[str]) -> list[Finding]:
    found = []
    for path in sorted((root / "statemachines").glob("*.asl.json")):
        copy = _folder(root) / path.name
        copy.write_text(json.dumps(readable(json.loads(path.read_text())), indent=1))
        name = str(path.relative_to(root))
        found += [Finding(name, finding.place, finding.message) for finding in _run([*command, str(copy)], root)]
    return found


def _run(command: list[str], root: Path) -> list[Finding]:
    """Run a checker; what it prints is one finding when it fails."""
    environment = dict(os.environ, SAM_CLI_TELEMETRY="0")
    environment["PATH"] = f"{environment.get('PATH', '')}:{root / '.boxcar' / 'environments' / 'node' / 'bin'}"
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, env=environment)
    if done.returncode == 0:
        return []
    said = (done.stdout + done.stderr).strip() or f"exit code {done.returncode}, without a word"
    return [Finding(command[-1].removeprefix(f"{root}/"), Path(command[0]).name, said)]


def _folder(root: Path) -> Path:
    folder = root / ".boxcar" / "lint"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
