"""What is wrong with a job, found before anything is submitted: by the same models and kinds that the API has."""

import difflib
import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from boxcar import kinds
from boxcar.errors import BoxcarError
from boxcar.jobs.submit import JobRequest
from boxcar.settings import Settings
from boxcar.steps import Cache, Code, Resources, Step
from cli.architectures import LEFT_OUT
from cli.jobs.documents import Fault, FieldPath, Source, dotted
from cli.jobs.sweeps import Member

MOST_CODE_MB = 50
NOT_UPLOADED = Code(digest="0" * 16, archive="s3://bucket/code.tar.gz", prefix="s3://bucket/code/")
_MODELS: dict[FieldPath, type[BaseModel]] = {
    (): JobRequest,
    ("step",): Step,
    ("step", "resources"): Resources,
    ("step", "code"): Code,
    ("step", "cache"): Cache,
}
# What to write, where a field that must be there is not.
_EXAMPLES = {
    "job": "write your name for it, such as job: trees-1",
    "step": "write step: with name, kind and what the kind needs",
    "step.name": "write a short word, such as name: train",
    "step.cache": "write true, false, or fields such as max_age_s: 3600",
}
_PATTERNS = {
    "job": "write letters, digits and hyphens, at most 63, a letter or digit first",
    "step.name": "write lower-case letters, digits and _, at most 31, a letter first",
    "owner": "write letters, digits and ._=@+,- only, at most 64, a letter or digit first",
    "sweep": "its name may hold letters, digits and ._- only, at most 63, a letter or digit first",
}
_STEP_ERROR = re.compile(r"(?:step [a-z0-9_]+: )?(?P<field>[a-z_]+(?:\.[\w-]+)*): (?P<message>.+)", re.DOTALL)


class Checks:
    """The checks of one submission. What was found once about one place is not said again for each of its jobs."""

    def __init__(self, stack: str = "") -> None:
        self.stack = stack
        self._known: dict[Fault, None] = {}
        self.found = 0  # said again or not
        self._folders: dict[Path, list[str]] = {}

    @property
    def faults(self) -> list[Fault]:
        """Everything that is wrong, in the order it was found."""
        return list(self._known)

    def say(self, fault: Fault) -> None:
        """Keep a fault, unless it is known."""
        self.found += 1
        self._known.setdefault(fault)

    def request(self, source: Source, member: Member, base: Path) -> tuple[dict[str, Any], Path | None]:
        """Check one job.

        Args:
            source: the document it is from.
            member: its fields.
            base: the folder that a `code` folder is relative to.

        Returns:
            The body of a request, and the folder of code to upload, which its `step.code` is still without.
        """
        document = dict(member.document)
        document["tags"] = _texts(document.get("tags", {}))
        # Who submits is known to the API; only a stand-in lets the model be used as it is.
        owner = document.pop("owner", None)
        folder = document.pop("code", None)
        before = self.found
        step = document.get("step")
        if folder is not None:
            folder = self._folder(source, folder, step, base)
            if isinstance(step, dict):
                if step.get("code") is not None:
                    self.say(source.fault(("code",), "stands beside step.code; keep one of them"))
                document["step"] = {**step, "code": NOT_UPLOADED.model_dump()}
        kind = step.get("kind") if isinstance(step, dict) else None
        if isinstance(kind, str) and kind not in kinds.names():
            near = difflib.get_close_matches(kind, kinds.names(), n=1)
            message = f"{kind!r} is not a kind of job; write {near[0] if near else _one_of(kinds.names())}"
            self.say(_at(source, member, ("step", "kind"), message))
        try:
            request = JobRequest.model_validate({**document, "owner": owner if owner is not None else "me"})
        except ValidationError as error:
            for fault in error.errors():
                path = tuple(fault["loc"])
                self.say(_at(source, member, path, _message(path, dict(fault))))
        else:
            if self.found > before:
                return {}, None
            # The images of a stack are known to the stack alone: whatever is written passes here.
            settings = Settings(stack=self.stack, images={request.step.image: "known to the API"})  # type: ignore[dict-item]
            try:
                kinds.find(request.step.kind).check(request.step, settings)
            except BoxcarError as error:
                self.say(_kind_fault(source, member, str(error)))
        if self.found > before:
            return {}, None
        if owner is not None:
            document["owner"] = owner
        if folder is not None:
            document["step"] = {key: value for key, value in document["step"].items() if key != "code"}
        return document, folder

    def _folder(self, source: Source, folder: Any, step: Any, base: Path) -> Path | None:
        """The folder that `code` names, if the script is in it."""
        if not isinstance(folder, str) or not folder:
            self.say(source.fault(("code",), f"{folder!r} is not a folder; write its path, relative to the job file"))
            return None
        path = (base / Path(folder).expanduser()).resolve()
        if not path.is_dir():
            self.say(
                source.fault(("code",), f"{folder!r} is not a folder ({path}); paths are relative to the job file")
            )
            return None
        if path not in self._folders:
            self._folders[path] = sorted(_files(path))
            size = sum((path / name).stat().st_size for name in self._folders[path])
            if size > MOST_CODE_MB * 1e6:
                message = f"{folder!r} holds {size / 1e6:,.0f} MB; {MOST_CODE_MB} MB is the most. Put data into S3"
                self.say(source.fault(("code",), message))
        script = step.get("script") if isinstance(step, dict) else None
        if isinstance(script, str) and script not in self._folders[path]:
            known = ", ".join(name for name in self._folders[path] if name.endswith(".py")) or "no script"
            self.say(source.fault(("step", "script"), f"{script!r} is not in {path}, which holds {known}"))
        return path


def _files(folder: Path) -> list[str]:
    return [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not LEFT_OUT.intersection(path.parts)
    ]


def _one_of(names: list[str]) -> str:
    return f"one of {', '.join(names)}"


def _texts(tags: Any) -> Any:
    """Numbers and truth values of tags as the texts that tags are."""
    if not isinstance(tags, dict):
        return tags
    return {name: json.dumps(value) if isinstance(value, int | float) else value for name, value in tags.items()}


def _at(source: Source, member: Member, path: FieldPath, message: str) -> Fault:
    """A fault at a field; one that the sweep set stands where the sweep says it."""
    for end in range(len(path), 0, -1):
        if origin := member.origins.get(path[:end]):
            return source.fault(origin, message, dotted(path))
    # What the sweep of a file set inside a field that is wrong as a whole stands in the sweep too.
    inside = next((origin for place, origin in member.origins.items() if place[: len(path)] == path), None)
    return source.fault(inside if inside and source.line(path) == source.line(()) else path, message, dotted(path))


def _message(path: FieldPath, fault: dict[str, Any]) -> str:
    """One of pydantic's findings, as a sentence that says what to write."""
    field, value, kind = dotted(path), fault["input"], fault["type"]
    if kind == "missing":
        example = f"write {_one_of(kinds.names())}" if field == "step.kind" else _EXAMPLES.get(field, "add it")
        return f"is missing; {example}"
    if kind == "extra_forbidden":
        known = sorted(_MODELS[path[:-1]].model_fields) if path[:-1] in _MODELS else []
        near = difflib.get_close_matches(str(path[-1]), known, n=1)
        other = f"write {near[0]}" if near else f"write {_one_of(known)}" if known else "remove it"
        return f"is not a field; {other}"
    if kind == "string_pattern_mismatch" and field in _PATTERNS:
        return f"{value!r}: {_PATTERNS[field]}"
    if kind == "string_type" and isinstance(value, int | float):
        return f"{value!r} is a number where a text is needed; write '{value}'"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{value!r} is not a mapping of fields; {_EXAMPLES.get(field, 'write fields below it')}"
    text = str(fault["msg"])
    text = text.removeprefix("Value error, ").removeprefix("Assertion failed, ").replace("Input should be", "must be")
    return f"{value!r}: {text}"


def _kind_fault(source: Source, member: Member, message: str) -> Fault:
    """What a kind says of a step: `step train: options.sql: …`."""
    match = _STEP_ERROR.fullmatch(message)
    if match is None:
        return source.fault(("step",), message)
    return _at(source, member, ("step", *match["field"].split(".")), match["message"])
