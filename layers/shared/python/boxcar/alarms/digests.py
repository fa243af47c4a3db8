"""The mail about a scientist's jobs that have ended: one job in full, or many by outcome with an example of each."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from boxcar.alarms.advice import advice_for, canonical_name
from boxcar.alarms.links import Links
from boxcar.mails import Mail, columns, section

AUDIENCES = ("science",)
COMPLETED = "Completed"
MOST_OUTPUTS = 5
MOST_SWEEPS = 30


def digest_mail(message: dict[str, Any], links: Links) -> Mail:
    """Tell an owner what became of her jobs since the last mail.

    Args:
        message: `{"owner", "sweep", "number", "counts": {outcome: n}, "since", "until", "examples": […]}`; an outcome
            is Completed or the name of a failure, times are seconds since the epoch. Each example is
            `{"outcome", "job", "step", "reason", "attempts", "attempts_made", "seconds", "arn", "outputs"}`.
        links: where readers can look.
    """
    owner, sweeps = message["owner"], dict(message["sweeps"])
    counts: Counter[str] = Counter()
    for some in sweeps.values():
        counts.update(some)
    total = sum(counts.values())
    examples = {example["outcome"]: example for example in message.get("examples", [])}
    told = _told(counts)
    sweep = next(iter(sweeps)) if len(sweeps) == 1 else ""
    which = f"sweep {sweep}" if sweep else "jobs"
    if total == 1 and examples:
        ((outcome, example),) = examples.items()
        subject = f"[Boxcar jobs] {example['step']} of {owner}: {outcome} ({example['job']})"
        parts = [section("What happened", [f"Job {example['job']} is {_ended(outcome)}."])]
    else:
        subject = f"[Boxcar jobs] {which} of {owner}: {told}"
        table = columns([["outcome", "jobs"], *([outcome, str(count)] for outcome, count in _in_order(counts))])
        parts = [
            section("What happened", [f"{total} {which if not sweep else f'jobs of {which}'} of {owner} ended."]),
            "\n".join(["Outcomes", *(f"  {line}" for line in table)]),
        ]
        if len(sweeps) > 1:
            rows = [[name or "(none)", _told(some)] for name, some in sorted(sweeps.items())[:MOST_SWEEPS]]
            parts.append("\n".join(["Sweeps", *(f"  {line}" for line in columns([["sweep", "jobs"], *rows]))]))
    for outcome, count in _in_order(counts):
        if outcome in examples:
            parts.append(_example(outcome, count, examples[outcome], links))
    parts.append(section("When", [f"{_time(message['since'])} to {_time(message['until'])}"]))
    parts.append(section("Look further", _commands(owner, sweep, counts, examples)))
    severity = "info" if set(counts) <= {COMPLETED, "Stopped"} else "warning"
    return Mail(
        f"digest:{owner}:{message['number']}",
        AUDIENCES,
        subject,
        "\n\n".join(parts) + "\n",
        {"kind": "jobs", "severity": severity, "owner": owner},
    )


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in _in_order(counts))


def _in_order(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Completed first, then the most frequent failure."""
    return sorted(counts.items(), key=lambda item: (item[0] != COMPLETED, -item[1], item[0]))


def _ended(outcome: str) -> str:
    return {COMPLETED: "Completed", "Stopped": "Stopped"}.get(outcome, f"Failed: {outcome}")


def _example(outcome: str, count: int, example: dict[str, Any], links: Links) -> str:
    name = f"{outcome}, for example {example['job']}" if count > 1 else f"{outcome}: {example['job']}"
    made = example.get("attempts_made", 0)
    lines = [f"{made} attempt{'' if made == 1 else 's'}, {example.get('seconds', 0):.0f} s in the last"]
    if outcome == COMPLETED:
        outputs = list(example.get("outputs", {}).items())
        lines += [f"{output}: {address}" for output, address in outputs[:MOST_OUTPUTS]]
    else:
        advice = advice_for(canonical_name(outcome, str(example.get("reason", ""))))
        lines += [f"Reason:  {example.get('reason') or 'none was given'}", advice.meaning]
        lines += [f"Boxcar:  {advice.done}", f"You:     {advice.for_job}"]
        lines += [f"- {one['name']}: {one['failure']}: {one['reason']}" for one in example.get("attempts", [])[:-1]]
    if link := links.job(str(example.get("arn", ""))):
        lines.append(link)
    return section(name, lines)


def _commands(owner: str, sweep: str, counts: Mapping[str, int], examples: dict[str, Any]) -> list[str]:
    among = f"--sweep {sweep}" if sweep else f"--owner {owner}"
    lines = [f"boxcar jobs list {among}"]
    failed = [outcome for outcome in counts if outcome != COMPLETED]
    if failed and failed[0] in examples:
        lines.append(f"boxcar jobs explain {examples[failed[0]]['job']}")
        lines.append(f"boxcar jobs retry --sweep {sweep} --failed" if sweep else "boxcar jobs retry JOB")
    return lines


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
