"""Names of jobs: made from what they are, so that the same thing asked twice is the same job."""

import hashlib
import re

from boxcar.errors import StepError

MAX_ID = 58  # SageMaker allows 63; five are for "-<attempt>"


def job_id(stack: str, run: str, model: str, step: str) -> str:
    """`<stack>-<model or run>-<step>-<hash10>`, at most 58 letters, digits and hyphens.

    Too long a middle is cut, never the stack, by which IAM allows it, nor the hash, which makes it unique.

    Raises:
        StepError: the name of the stack leaves no room.
    """
    hashed = hashlib.sha256(f"{run}/{model}/{step}".encode()).hexdigest()[:10]
    room = MAX_ID - len(stack) - len(hashed) - 2
    if room < 1:
        raise StepError(f"BOXCAR_STACK: {stack!r} is too long for names of jobs; use at most {MAX_ID - 13} characters")
    words, step_words = _slug(model or run), _slug(step)
    middle = f"{words[: max(0, room - len(step_words) - 1)].strip('-')}-{step_words}".strip("-")[:room].strip("-")
    return f"{stack}-{middle}-{hashed}"


def parse_name(name: str) -> tuple[str, int] | None:
    """Job id and attempt from a name on AWS, or None if it is not one of ours."""
    match = re.fullmatch(r"(.+-[0-9a-f]{10})-([1-9][0-9]{0,3})", name)
    return (match[1], int(match[2])) if match else None


def place(bucket: str, run: str, model: str, step: str, attempt: int) -> str:
    """Where one attempt writes: `s3://<bucket>/runs/<run>/<model or _run>/<step>/<attempt>/`."""
    return f"s3://{bucket}/runs/{run}/{model or '_run'}/{step}/{attempt}/"


def checkpoints(bucket: str, run: str, model: str, step: str) -> str:
    """Where every attempt of a step keeps its checkpoints: `…/<step>/checkpoints/`."""
    return f"s3://{bucket}/runs/{run}/{model or '_run'}/{step}/checkpoints/"


def _slug(words: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", words).strip("-")
