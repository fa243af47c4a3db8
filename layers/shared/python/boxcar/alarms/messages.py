"""From a message on the alarm queue to the mail that it becomes: pure, no AWS call.

What arrives is what a state machine sends (`kind`: run_failed, model_failed, model_rejected, review_expired,
release_expired), what its functions send (model_review, release_review, released, report, benchmark_report, those of
boxcar.alarms.inference), what the monitor of jobs sends (jobs_digest, job_quarantined), or what EventBridge says about
an execution or an alarm of CloudWatch. What is none of these raises: it ends among the dead letters, not nowhere.
"""

from collections.abc import Callable
from typing import Any

from boxcar.alarms.advice import SCIENCE, Advice, advice_for, canonical_name
from boxcar.alarms.alarm_mail import alarm_mail, where
from boxcar.alarms.benchmarks import benchmark_mail
from boxcar.alarms.causes import Cause, read_cause, same_cause
from boxcar.alarms.cloudwatch import METRIC_ALARM_EVENT, metric_alarm_mail
from boxcar.alarms.digests import digest_mail
from boxcar.alarms.documents import document_failed_mail, documents_answered_mail
from boxcar.alarms.inference import INFERENCE_MAILS
from boxcar.alarms.links import Links
from boxcar.alarms.releases import release_expired_mail, release_review_mail, released_mail
from boxcar.alarms.retraining import retraining_mail
from boxcar.alarms.reviews import expired_mail, review_mail
from boxcar.alarms.summaries import repeated_mail, report_mail
from boxcar.alarms.watching import deviation_mail, run_slow_mail, schedule_missed_mail
from boxcar.errors import BoxcarError
from boxcar.mails import Mail

EXECUTION_EVENT = "Step Functions Execution Status Change"
_BAD_ENDS = {"FAILED", "TIMED_OUT", "ABORTED"}
# What the part of a run is called that failed while the others went on, and what became of them.
_MODEL_OF_FAMILY = (
    "Model {model} of family {family}",
    "The other models of the run went on. The approved version of {model} stays in place.",
)
_PARTS = {"benchmark": ("Build {model} of benchmark {family}", "The other builds of the run went on.")}
_RELEASE_MAILS = {
    "release_review": release_review_mail,
    "release_expired": release_expired_mail,
    "released": released_mail,
}
_TOLD = ("AllModelsFailed", "NoFigures")  # each model has had its own alarm, or the report says why of each cell


class UnknownMessageError(BoxcarError):
    """A message on the alarm queue that is not one of those in docs/alarms.md."""


def read_message(message: object, links: Links, since: str) -> Mail | None:
    """Decide who is told what.

    Args:
        message: the body from the queue, as JSON gives it.
        links: where readers can look.
        since: when the message was put on the queue (ISO 8601), for messages that do not say themselves.

    Returns:
        the mail, or None for what others have told already.

    Raises:
        UnknownMessageError: nobody knows what this is; names what is missing.
    """
    if not isinstance(message, dict):
        raise UnknownMessageError(f"message: is {str(message)[:80]!r}; write an object with a kind, see docs/alarms.md")
    if message.get("detail-type") == EXECUTION_EVENT:
        return _execution_ended(message, links)
    if message.get("detail-type") == METRIC_ALARM_EVENT:
        return metric_alarm_mail(message, links)
    kind = message.get("kind")
    reader = _READERS.get(str(kind))
    if reader is None:
        raise UnknownMessageError(f"kind: is {kind!r}; write one of {', '.join(_READERS)}, see docs/alarms.md")
    return reader(message, links, since)


def _run_failed(message: dict[str, Any], links: Links, since: str) -> Mail:
    run = _text(message, "run")
    cause, error = _cause(message)
    family = message.get("family") or cause.found.get("family", "")
    what = f"Run {run} failed: {error}." if not family else f"Run {run} of family {family} failed: {error}."
    return alarm_mail(
        f"run:{run}",
        f"{family or message.get('machine', 'run')} run {run} failed: {error}",
        advice_for(error),
        what,
        cause,
        where(message, links, cause),
        str(message.get("since") or since),
        "The approved versions stay as they are.",
        same=_same(message, family, error, cause),
    )


def _model_failed(message: dict[str, Any], links: Links, since: str) -> Mail:
    run, model = _text(message, "run"), _text(message, "model")
    cause, error = _cause(message)
    family = message.get("family", "")
    step = message.get("step") or cause.found.get("step", "")
    at = f" in step {step}" if step else ""
    machine = str(message.get("machine", ""))
    part, others = _PARTS.get(machine, _MODEL_OF_FAMILY)
    return alarm_mail(
        f"model_failed:{run}/{model}",
        # names of builds and of their steps are too long for a subject that is to hold the error as well
        f"{family}/{model} failed{'' if machine in _PARTS else at}: {error}".lstrip("/"),
        advice_for(error),
        f"{part.format(model=model, family=family)} failed{at}: {error}.",
        cause,
        where(message, links, cause),
        str(message.get("since") or since),
        others.format(model=model),
        same=_same(message, family, error, cause, step),
    )


def _model_rejected(message: dict[str, Any], links: Links, since: str) -> Mail:
    run, model, version = _text(message, "run"), _text(message, "model"), _text(message, "version")
    reasons = _reasons(message)
    family = message.get("family", "")
    advice = Advice(
        SCIENCE,
        "The family's gate says that the candidate is not good enough to take the place of the approved version.",
        f"Registered {version} as rejected, with its artifact and figures. The approved version stays in place.",
        "Compare label counts, row counts and scores in the report. If the change is real, loosen the gate in the "
        "family file and start the run again; if not, look for what changed in the source.",
    )
    cause = Cause("\n".join(f"- {reason}" for reason in reasons))
    return alarm_mail(
        f"model_rejected:{run}/{model}",
        f"{family}/{model} {version} was rejected: {reasons[0] if reasons else 'no reason given'}".lstrip("/"),
        advice,
        f"Version {version} of model {model} in family {family} was rejected.",
        cause,
        {**where(message, links, cause), "Version": version, "Report": links.report(run)},
        str(message.get("since") or since),
        "",
        severity="warning",
    )


def _model_review(message: dict[str, Any], links: Links, since: str) -> Mail:
    for name in ("run", "model", "version"):
        _text(message, name)
    return review_mail(message, where(message, links, Cause("")), _reasons(message), since)


def _review_expired(message: dict[str, Any], links: Links, since: str) -> Mail:
    for name in ("run", "model", "version"):
        _text(message, name)
    return expired_mail(message, where(message, links, Cause("")), since)


def _of_release(message: dict[str, Any], links: Links, since: str) -> Mail:
    for name in ("run", "model", "version", "endpoint"):
        _text(message, name)
    return _RELEASE_MAILS[message["kind"]](message, links, since)


def _job_quarantined(message: dict[str, Any], links: Links, since: str) -> Mail:
    job = _text(message, "job")
    advice = advice_for("Quarantined")
    attempts = [
        f"- {one.get('name')}: {one.get('failure')}: {one.get('reason')}" for one in message.get("attempts", [])
    ]
    cause = Cause("\n".join([str(message.get("reason", "")), *attempts]))
    where = {"Job": job, "Owner": str(message.get("owner", "")), "Link": links.job(str(message.get("arn", "")))}
    return alarm_mail(
        f"job:{job}:{message.get('attempts_made', 0)}",
        f"job {job} is quarantined",
        advice,
        f"Job {job} of {message.get('owner')} is quarantined.",
        cause,
        where,
        str(message.get("since") or since),
        "Other jobs go on.",
        same=same_cause(["quarantined", str(message.get("owner", ""))], str(message.get("reason", "")), [job]),
    )


def _jobs_digest(message: dict[str, Any], links: Links, since: str) -> Mail:
    return digest_mail(message, links)


def _report(message: dict[str, Any], links: Links, since: str) -> Mail:
    _text(message, "run")
    return report_mail(message, links, since)


def _of_inference(message: dict[str, Any], links: Links, since: str) -> Mail:
    _text(message, "run")
    return INFERENCE_MAILS[message["kind"]](message, links, since)


def _benchmark_report(message: dict[str, Any], links: Links, since: str) -> Mail:
    _text(message, "run")
    return benchmark_mail(message, links, since)


def _execution_ended(event: dict[str, Any], links: Links) -> Mail | None:
    """An execution that EventBridge saw end badly. Its id is that of the machine's own alarm: the first is sent."""
    detail = event.get("detail")
    if not isinstance(detail, dict) or detail.get("status") not in _BAD_ENDS or not detail.get("name"):
        raise UnknownMessageError(
            f"detail: is {str(detail)[:120]!r}; an execution event needs a name and a status that is bad"
        )
    cause, error = _cause({"error": detail.get("error"), "cause": detail.get("cause")})
    if error in _TOLD:
        return None
    status, run = detail["status"], detail["name"]
    if not detail.get("error"):
        error = {"TIMED_OUT": "States.Timeout", "ABORTED": "Aborted"}.get(status, "States.TaskFailed")
    machine = links.machine_of(str(detail.get("stateMachineArn", "")))
    redrives = int(detail.get("redriveCount") or 0)
    arn = str(detail.get("executionArn", ""))
    ended = {"FAILED": "failed", "TIMED_OUT": "timed out", "ABORTED": "was stopped"}[status]
    return alarm_mail(
        f"run:{run}" + (f":redrive-{redrives}" if redrives else ""),
        f"{machine} run {run} {ended}: {error}",
        advice_for(error),
        f"Run {run} of machine {machine} {ended}: {error}.",
        cause,
        where({"machine": machine, "run": run, "execution": arn}, links, cause),
        str(event.get("time", "")),
        "The approved versions stay as they are.",
        same=_same({"machine": machine, "run": run}, "", error, cause),
    )


def _cause(message: dict[str, Any]) -> tuple[Cause, str]:
    """The cause in plain words, and the canonical name of the error."""
    cause = read_cause(message.get("cause"))
    error = str(message.get("error") or "")
    if error in ("", "States.TaskFailed", "States.ALL", "Exception") and cause.error:
        error = cause.error  # the cause knows better
    return cause, canonical_name(error or "States.TaskFailed", cause.text)


def _same(message: dict[str, Any], family: str, error: str, cause: Cause, step: str = "") -> str:
    names = [str(message.get(name) or cause.found.get(name, "")) for name in ("run", "model", "job", "execution")]
    return same_cause([str(message.get("machine", "")), family, error, step], cause.text, names)


def _document_failed(message: dict[str, Any], links: Links, since: str) -> Mail:
    for name in ("id", "document", "error", "reason"):
        _text(message, name)
    return document_failed_mail(message, links, since)


def _documents_answered(message: dict[str, Any], links: Links, since: str) -> Mail:
    for name in ("id", "bucket"):
        _text(message, name)
    return documents_answered_mail(message, links, since)


def _repeated(message: dict[str, Any], links: Links, since: str) -> Mail:
    return repeated_mail(message)


def _schedule_missed(message: dict[str, Any], links: Links, since: str) -> Mail:
    _text(message, "schedule")
    return schedule_missed_mail(message, links)


def _run_slow(message: dict[str, Any], links: Links, since: str) -> Mail:
    _text(message, "run")
    return run_slow_mail(message, links)


def _deviation(message: dict[str, Any], links: Links, since: str) -> Mail:
    _text(message, "figure")
    return deviation_mail(message, links, since)


def _reasons(message: dict[str, Any]) -> list[Any]:
    reasons = message.get("reasons")
    if not isinstance(reasons, list):
        kind = message.get("kind")
        raise UnknownMessageError(
            f"reasons: is {str(reasons)[:80]!r} in a message of kind {kind}; write a list of sentences"
        )
    return reasons


def _text(message: dict[str, Any], name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str) or not value:
        raise UnknownMessageError(f"{name}: is {value!r} in a message of kind {message.get('kind')}; write a text")
    return value


_READERS: dict[str, Callable[[dict[str, Any], Links, str], Mail]] = {
    "run_failed": _run_failed,
    "model_failed": _model_failed,
    "model_rejected": _model_rejected,
    "model_review": _model_review,
    "review_expired": _review_expired,
    **dict.fromkeys(_RELEASE_MAILS, _of_release),
    **dict.fromkeys(INFERENCE_MAILS, _of_inference),
    "report": _report,
    "benchmark_report": _benchmark_report,
    "jobs_digest": _jobs_digest,
    "job_quarantined": _job_quarantined,
    "document_failed": _document_failed,
    "documents_answered": _documents_answered,
    "retraining": retraining_mail,
    "repeated": _repeated,
    "schedule_missed": _schedule_missed,
    "run_slow": _run_slow,
    "deviation": _deviation,
}
