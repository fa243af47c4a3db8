"""Has this been done before? What the outputs of a step depend on, and how a job remembers what was found.

The outputs of a step depend on its *components*: kind, image, code, every value of config and options, the names of
its outputs, and what lies at each of its inputs. Equal components make an equal key, whatever the run, the state
machine, the family or the model, and the first job of that key that completed stands for all later ones. Machines,
time limits, attempts and priority are no components: they change how long a step takes, not what it writes.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from boxcar.attributes import Item, decode_all, encode_all

if TYPE_CHECKING:  # to watch jobs, pydantic is not needed
    from boxcar.jobs.record import Job
    from boxcar.steps import Step

Outcome = Literal["hit", "miss", "afresh", "off"]

LONGEST_VALUE = 120  # characters of a component; a longer one is its digest
MOST_CHANGES = 20  # of those between two jobs, that a job remembers


@dataclass(frozen=True)
class Change:
    """One component in which a job differs from the one before it; "" where it had none."""

    component: str  # such as config.learning_rate, inputs.train, code
    before: str
    now: str


@dataclass(frozen=True)
class Caching:
    """What the cache said when a job was submitted, and what it needs to take the job's outputs up.

    Attributes:
        outcome: hit; miss; afresh (the run says so); off (the step says so).
        why: in words, unless it is a hit.
        key: of its components; "" when they cannot be known, and nothing is kept.
        named: components that the document of the job only names, such as the address of its image.
        contents: digest of what lies at each input.
        changes: since the job before, of the same family, model and step. Only of a miss.
        job: whose outputs a hit has; that job did run.
        run: … and its run.
        made_at: … and when it completed, in seconds since the epoch.
        saved_s: … and how long it ran.
        kept_s: how long others may take its outputs up once it has completed; 0 is not at all.
    """

    outcome: Outcome
    why: str = ""
    key: str = ""
    named: dict[str, str] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    job: str = ""
    run: str = ""
    made_at: float = 0.0
    saved_s: float = 0.0
    kept_s: float = 0.0

    @classmethod
    def of(cls, value: dict[str, Any]) -> "Caching":
        """Back from what an item holds."""
        return cls(**value | {"changes": tuple(Change(**change) for change in value.get("changes", ()))})


@dataclass(frozen=True)
class Entry:
    """Outputs of a completed job, as the cache keeps them. Times are seconds since the epoch."""

    job: str
    run: str
    outputs: dict[str, str]
    made_at: float
    seconds: float  # that it ran
    expires: float


def components(step: "Step", named: Mapping[str, str], contents: Mapping[str, str]) -> dict[str, str]:
    """What the outputs of a step depend on, name → text.

    Args:
        step: as it was submitted.
        named: what the step only names, resolved: the address of its image, the database of its statement.
        contents: digest of what lies at each input, by the input's name.
    """
    found = {"kind": step.kind, **named, "outputs": _text(sorted(step.outputs))}
    if step.script:
        found["script"] = step.script
    if step.code:
        found["code"] = step.code.digest_of(step.script)
    for prefix, values in (("config", step.config), ("options", step.options)):
        for name, value in values.items():
            found |= _flat(f"{prefix}.{_escaped(name)}", value)
    found |= {f"inputs.{name}": digest for name, digest in contents.items()}
    ignored = step.caching.ignore
    return {
        name: value
        for name, value in found.items()
        if not any(name == path or name.startswith(f"{path}.") for path in ignored)
    }


def key_of(parts: Mapping[str, str]) -> str:
    """32 hex digits that stand for components."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def components_of(job: "Job") -> dict[str, str] | None:
    """The components of a job that is stored; None if they were not known when it was submitted."""
    from boxcar.steps import Step

    if job.caching is None or not job.caching.key:
        return None
    return components(Step.model_validate_json(job.document), job.caching.named, job.caching.contents)


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[Change, ...]:
    """Every component in which two jobs differ, by name."""
    names = sorted({*before, *now})
    return tuple(
        Change(name, before.get(name, ""), now.get(name, "")) for name in names if before.get(name) != now.get(name)
    )


def in_words(found: Iterable[Change]) -> str:
    """Changes as a sentence: `config.learning_rate 0.2 → 0.3; inputs.train: other content`."""
    return "; ".join(_change_in_words(change) for change in found)


# ── items of the jobs table


def entry_pk(key: str) -> str:
    """Where the entry of a key is."""
    return f"cache#{key}"


def last_pk(family: str, model: str, step: str) -> str:
    """Where the latest completed job of a step is named."""
    return f"cache#last#{family}/{model}/{step}"


def completion_items(job: "Job") -> list[Item]:
    """What the cache keeps of a job that has just completed: an entry, and that it is the latest of its step."""
    caching = job.caching
    if caching is None or not caching.key:
        return []
    items = []
    if caching.outcome != "hit" and caching.kept_s > 0:
        ended = job.ended or 0.0
        values = {"job": job.id, "run": job.run, "outputs": job.outputs, "made_at": ended, "seconds": job.seconds}
        items.append({"pk": entry_pk(caching.key), **values, "expires": int(ended + caching.kept_s)})
    if job.is_step:
        last = {"pk": last_pk(job.family, job.model, job.step), "job": job.id, "expires": int(job.expires)}
        items.append(last)
    return [encode_all(item) for item in items]


def to_entry(item: Item) -> Entry:
    """The entry of an item."""
    value = decode_all(item)
    del value["pk"]
    return Entry(**value)


def _flat(name: str, value: Any) -> dict[str, str]:
    """Every value below a name, by its path. An empty mapping is a value, too."""
    if not isinstance(value, dict) or not value:
        return {name: _text(value)}
    found: dict[str, str] = {}
    for key, part in value.items():
        found |= _flat(f"{name}.{_escaped(key)}", part)
    return found


def _escaped(key: object) -> str:
    """A key as a part of a path: its own dots do not part it."""
    return str(key).replace("\\", "\\\\").replace(".", "\\.")


def _text(value: Any) -> str:
    """A value as JSON; a long one as its digest."""
    text = json.dumps(value, sort_keys=True)
    if len(text) <= LONGEST_VALUE:
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _change_in_words(change: Change) -> str:
    if not change.before:
        return f"{change.component} is new"
    if not change.now:
        return f"{change.component} is gone"
    if change.component.startswith("inputs.") or change.component == "code" or "sha256:" in change.before + change.now:
        return f"{change.component}: other content"
    return f"{change.component} {change.before} → {change.now}"
