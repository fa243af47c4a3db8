"""Array jobs: a parent that runs nothing and its children, `<job id>:<index>`."""

from typing import Any

SUMMARY = (
    "jobArn", "jobId", "jobName", "createdAt", "status", "statusReason", "startedAt", "stoppedAt", "arrayProperties",
    "jobDefinition", "isCancelled", "isTerminated",
)  # fmt: skip


def child_id(parent: str, index: int) -> str:
    """The id of one child."""
    return f"{parent}:{index}"


def parent_of(job_id: str) -> str | None:
    """The array that a job is a child of, or None."""
    parent, colon, _ = job_id.partition(":")
    return parent if colon else None


def index_of(job_id: str) -> int | None:
    """The index of a child, or None."""
    _, colon, index = job_id.partition(":")
    return int(index) if colon else None


def parent_status(children: list[str]) -> tuple[str, str]:
    """How an array ended, by how its children did, and why; "" while one has not."""
    if not all(status in ("SUCCEEDED", "FAILED") for status in children):
        return "", ""
    return ("FAILED", "Array Child Job failed") if "FAILED" in children else ("SUCCEEDED", "")


def summary(detail: dict[str, Any]) -> dict[str, Any]:
    """What ListJobs shows of a job."""
    shown = {name: detail[name] for name in SUMMARY if name in detail}
    container = {name: value for name, value in detail.get("container", {}).items() if name in ("exitCode", "reason")}
    return {**shown, **({"container": container} if container else {})}
