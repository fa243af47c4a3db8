"""Pipelines as GitLab and GitHub read them: each job's script, and what it calls when a shell really runs it."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
GITLAB, GITHUB = ROOT / "ci/gitlab/model.yml", ROOT / "ci/github/model.yml"
# Stands in for programs that have no place in a test: writes down how it was called, and says what the file SAYS holds.
# One write a call: the programs of `a | b` run at once, and share the file.
STAND_IN = """#!/bin/bash
printf -v call '%s\\x1f' "${0##*/}" "$@"; printf '%s\\n' "$call" >> "$CALLS"
[ "${0##*/} $1" != "boxcar package" ] || cat "$SAYS"
"""


class GitLabLoader(yaml.SafeLoader):
    """Knows `!reference [job, field]`."""


class Reference(tuple[str, ...]):
    """A field of another job."""


GitLabLoader.add_constructor("!reference", lambda loader, node: Reference(loader.construct_sequence(node)))


def read_gitlab(inputs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The inputs that the template declares, and its jobs as GitLab makes them of `inputs`: interpolated, extended."""
    header, body = GITLAB.read_text().split("\n---\n")
    declared: dict[str, Any] = yaml.safe_load(header)["spec"]["inputs"]
    given = {name: one["default"] for name, one in declared.items() if "default" in one} | inputs

    def value(found: re.Match[str]) -> str:
        one = given[found[1]]
        return one if isinstance(one, str) else json.dumps(one)

    document = yaml.load(re.sub(r"\$\[\[ inputs\.(\w+) \]\]", value, body), GitLabLoader)
    jobs = {name: _resolved(document, _extended(document, name)) for name in document if name != "stages"}
    return declared, {name: job for name, job in jobs.items() if not name.startswith(".")}


def _extended(document: dict[str, Any], name: str) -> dict[str, Any]:
    job = document[name]
    if "extends" not in job:
        return dict(job)
    parent = _extended(document, job["extends"])
    merged = {**parent, **job}
    if "variables" in parent:
        merged["variables"] = {**parent["variables"], **job.get("variables", {})}
    return merged


def _resolved(document: dict[str, Any], value: Any) -> Any:
    if isinstance(value, Reference):
        job, field = value
        return _resolved(document, _extended(document, job)[field])
    if isinstance(value, dict):
        return {name: _resolved(document, one) for name, one in value.items()}
    if isinstance(value, list):
        found = []
        for one in value:
            resolved = _resolved(document, one)
            found += resolved if isinstance(one, Reference) else [resolved]
        return found
    return value


def read_github() -> dict[str, Any]:
    """The reusable workflow. YAML 1.1 reads the key `on` as true."""
    document: dict[Any, Any] = yaml.safe_load(GITHUB.read_text())
    document["on"] = document.pop(True)
    return document


def calls(script: list[str], folder: Path, environment: dict[str, str], package: str = "") -> list[list[str]]:
    """Run a script, with stand-ins for all that it calls, and return each call: the program, and its arguments."""
    programs, log, says = folder / "programs", folder / "calls", folder / "says"
    programs.mkdir(exist_ok=True)
    for name in ("boxcar", "git", "make", "docker", "aws", "apk", "python"):
        (programs / name).write_text(STAND_IN)
        (programs / name).chmod(0o755)
    log.write_text("")
    says.write_text(package)
    own = {"PATH": f"{programs}:/usr/bin:/bin", "CALLS": str(log), "SAYS": str(says), "HOME": str(folder)}
    text = "set -u\n" + "\n".join(script)  # -u: a variable that the pipeline does not set is a mistake
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", text], cwd=folder, env={**environment, **own}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.split("\x1f")[:-1] for line in log.read_text().splitlines()]
