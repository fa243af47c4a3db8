"""From paths on the command line to the jobs that they ask for: every error of every file at once, or every job."""

import copy
import glob
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from cli.jobs.checks import Checks
from cli.jobs.documents import Fault, Source, plain_value, read_documents
from cli.jobs.sweeps import Member, members, set_path, split

SUFFIXES = (".yaml", ".yml", ".json")
MOST_SHOWN = 50


class BadFilesError(click.ClickException):
    """Files that cannot be submitted; nothing of any of them was."""

    exit_code = 2

    def __init__(self, faults: list[Fault], files: int) -> None:
        order = {file: number for number, file in enumerate(dict.fromkeys(fault.file for fault in faults))}
        self.faults = faults = sorted(faults, key=lambda fault: (order[fault.file], fault.line or 0))
        shown = "\n".join(f"  {fault}" for fault in faults[:MOST_SHOWN])
        more = f"\n  … and {len(faults) - MOST_SHOWN} more" if len(faults) > MOST_SHOWN else ""
        things = "1 thing is" if len(faults) == 1 else f"{len(faults)} things are"
        where = f" in {files} files" if files > 1 else ""
        super().__init__(f"nothing was submitted: {things} wrong{where}\n{shown}{more}")


@dataclass(frozen=True)
class Wanted:
    """One job to submit."""

    file: str
    line: int | None
    request: dict[str, Any]  # the body of POST /jobs
    code: Path | None = None  # a folder that is uploaded first, and then stands in request["step"]["code"]


@dataclass(frozen=True)
class Changes:
    """What the command line says about every job of the files."""

    owner: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    priority: int | None = None
    sets: dict[str, Any] = field(default_factory=dict)  # path -> value


def assignments(texts: Sequence[str], option: str) -> dict[str, str]:
    """`name=value` as given several times on the command line.

    Raises:
        click.BadParameter: there is no `=`.
    """
    for text in texts:
        if "=" not in text.lstrip("="):
            raise click.BadParameter(f"{text!r} has no value; write name=value", param_hint=option)
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


def values(texts: Sequence[str]) -> dict[str, Any]:
    """`--set path=value`, the value read as in a file.

    Raises:
        click.BadParameter: there is no `=`, or the value cannot be read.
    """
    try:
        return {path: plain_value(text) for path, text in assignments(texts, "--set").items()}
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--set") from None


def read_jobs(paths: Sequence[str], changes: Changes, stack: str = "") -> list[Wanted]:
    """Every job of every file, checked.

    Raises:
        BadFilesError: one or more cannot be submitted; says everything that is wrong with all of them.
    """
    checks = Checks(stack)
    texts = _texts(paths, checks)
    wanted: list[Wanted] = []
    for file, text in texts.items():
        sources, faults = read_documents(file, text)
        for fault in faults:
            checks.say(fault)
        base = Path.cwd() if file == "-" else Path(file).parent
        for source in sources:
            wanted += _jobs(source, changes, base, checks)
    _check_names(wanted, checks)
    if checks.faults:
        raise BadFilesError(checks.faults, len(texts))
    return wanted


def _jobs(source: Source, changes: Changes, base: Path, checks: Checks) -> list[Wanted]:
    if not isinstance(source.value, dict):
        checks.say(source.fault((), f"holds {source.value!r}, not the fields of a job", ""))
        return []
    changed = Source(source.file, _changed(source, changes, checks), source.lines)
    faults: list[Fault] = []
    found = []
    for member in members(changed, faults):
        request, code = checks.request(changed, _with_tags(member, changes), base)
        if request:
            found.append(Wanted(source.file, source.line(()), request, code))
    for fault in faults:
        checks.say(fault)
    return found


def _changed(source: Source, changes: Changes, checks: Checks) -> dict[str, Any]:
    """The document with what the command line says."""
    document = copy.copy(source.value)
    if changes.owner is not None:
        document["owner"] = changes.owner
    sets = dict(changes.sets)
    if changes.priority is not None:
        sets["step.priority"] = changes.priority
    for path, value in sets.items():
        if path in _swept(document):
            checks.say(source.fault(("sweep",), f"gives {path} its values, and so does the command line; keep one"))
            continue
        try:
            set_path(document, path, value)
        except ValueError as error:
            checks.say(source.fault(split(path), f"--set {error}", ""))
    return document


def _swept(document: dict[str, Any]) -> set[str]:
    sweep = document.get("sweep")
    if not isinstance(sweep, dict):
        return set()
    settings = sweep.get("list") if isinstance(sweep.get("list"), list) else [sweep.get("grid")]
    return {path for setting in settings or [] if isinstance(setting, dict) for path in setting}


def _with_tags(member: Member, changes: Changes) -> Member:
    given = member.document.get("tags") or {}
    if not changes.tags or not isinstance(given, dict):
        return member
    return Member({**member.document, "tags": {**given, **changes.tags}}, member.origins)


def _check_names(wanted: list[Wanted], checks: Checks) -> None:
    """Two jobs of one owner with one name would be one job."""
    seen: dict[tuple[Any, ...], Wanted] = {}
    for job in wanted:
        request = job.request
        known = seen.setdefault((request.get("owner"), request["job"], request["step"]["name"]), job)
        if known is not job:
            place = f"{known.file}:{known.line}" if known.line else known.file
            message = f"{request['job']!r} is the name of a job in {place} too; give each its own"
            checks.say(Fault(job.file, job.line, "job", message))


def _texts(paths: Sequence[str], checks: Checks) -> dict[str, str]:
    """The text of every file, in order and once."""
    found: dict[str, str] = {}
    for path in paths:
        for file in _files(path, checks):
            if file in found:
                continue
            try:
                found[file] = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
            except (OSError, UnicodeDecodeError) as error:
                checks.say(Fault(file, None, "", f"cannot be read: {getattr(error, 'strerror', None) or error}"))
    return found


def _files(path: str, checks: Checks) -> list[str]:
    if path == "-" or Path(path).is_file():
        return [path]
    if Path(path).is_dir():
        files = sorted(str(file) for file in Path(path).iterdir() if file.suffix in SUFFIXES and file.is_file())
        if not files:
            checks.say(Fault(path, None, "", f"holds no job file; they end in {', '.join(SUFFIXES)}"))
        return files
    # glob, not Path.glob: a pattern may be absolute.
    files = sorted(file for file in glob.glob(path, recursive=True) if Path(file).is_file())  # noqa: PTH207
    if not files:
        how = "matches no file" if set(path) & set("*?[") else "there is no such file or folder"
        checks.say(Fault(path, None, "", how))
    return files
