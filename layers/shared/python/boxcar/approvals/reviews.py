"""Reviews in the models table: the question to a person about one version, who may answer it, and what was answered.

A question is about a candidate (shall it be the approved version?), or about a release of an approved version.

- `model#<family>/<model>`, `review#<version>`: the review of a candidate;
- `model#<family>/<model>`, `release`: that of a release, and the last of those before it: an endpoint has one question;
- `review#<sha256 of the link's token>`, `review`: which review a link is about. It outlives the link for a while, so
  that a late click is told what became of it.
"""

import hashlib
import hmac
import secrets
from typing import Any, Literal

from botocore.exceptions import ClientError

from boxcar.attributes import decode_all, encode_all
from boxcar.registry.decisions import Decision
from boxcar.registry.table import CONTENTION
from boxcar.steps import Document
from boxcar.versions import Version

LINKS_KEPT_S = 90 * 86400  # after a link has run out; as long as Step Functions knows the execution
PAST = 20  # questions about releases of a model that are remembered
State = Literal["open", "deciding", "decided", "cancelled", "expired"]
_RELEASE = "release"


class Changed(Exception):  # noqa: N818
    """Somebody else changed the review since it was read: read it again and decide again."""


class Placement(Document):
    """What a release is to put where."""

    endpoint: str
    instance: str
    least: int  # instances
    most: int
    instead_of: str = ""  # version that serves; "": none
    usd_per_hour: float | None = None  # of the least instances, at EC2's on-demand price; None: not known
    requested_by: str = ""


class Past(Document):
    """A question about a release that is over."""

    version: str
    run: str
    state: State | Literal["replaced"]  # replaced: another release asks in its place
    decision: Decision | None = None


class Owed(Document):
    """What the run that asked before is still to be told: its question has made room for another one."""

    task_token: str
    output: dict[str, Any]


class Review(Document):
    """One review. Stored as it is, but for `expired`, which is a matter of the clock."""

    family: str
    model: str
    version: str
    run: str
    execution: str  # ARN
    attempt: int  # of the Task that waits; a later one's token replaces an earlier one's
    task_token: str = ""
    state: State = "open"
    number: int = 1  # counts up when the question is asked anew: the link before is void then
    token: str = (
        ""  # the link's, only until the mail with it is on its way; from then on nobody but its readers have it
    )
    token_digest: str
    until: int  # seconds since the epoch; the link is good before
    decision: Decision | None = None
    revision: int = 1  # of the record, for conditional writes
    release: Placement | None = None  # None: the question is about the version itself
    owed: Owed | None = None  # to the release whose question this one has replaced, until that has been told
    earlier: list[Past] = []  # about releases, oldest first

    def state_at(self, now: float) -> State:
        """The state, with a question that nobody answered in time as `expired`."""
        return "expired" if self.state == "open" and now >= self.until else self.state

    def past(self, now: float) -> Past:
        """What is remembered of it when it is over."""
        state = "decided" if self.decision else self.state_at(now)
        return Past(version=self.version, run=self.run, state=state, decision=self.decision)

    @property
    def name(self) -> str:
        """As people say it."""
        where = f" on {self.release.endpoint}" if self.release else ""
        return f"{self.family}/{self.model} {self.version}{where}"

    @property
    def kept(self) -> str:
        """What stays as it is while nobody decides, or for it."""
        return "what serves goes on serving" if self.release else "the version still waits"

    @property
    def key(self) -> tuple[str, str]:
        """Where it lies: pk and sk."""
        about = _RELEASE if self.release else f"review#{Version.parse(self.version).sort_key}"
        return f"model#{self.family}/{self.model}", about


def new_token() -> str:
    """What a link holds: 256 random bits."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


class Reviews:
    """Reads and writes reviews."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def of(self, family: str, model: str, version: Version) -> Review | None:
        """The review of a candidate."""
        return self._at(f"model#{family}/{model}", f"review#{version.sort_key}")

    def of_release(self, family: str, model: str) -> Review | None:
        """The last question about a release of a model."""
        return self._at(f"model#{family}/{model}", _RELEASE)

    def again(self, review: Review) -> Review | None:
        """What lies now where a review was read."""
        return self._at(*review.key)

    def by_token(self, token: str) -> Review | None:
        """The review that a link is about; None for a token that was never given, or is void."""
        known = self._get(f"review#{digest(token)}", "review")
        if known is None:
            return None
        family, model, version = known["family"], known["model"], Version.parse(known["version"])
        review = self.of_release(family, model) if known.get(_RELEASE) else self.of(family, model, version)
        if review is None or not hmac.compare_digest(review.token_digest, digest(token)):
            return None
        return review

    def has_given(self, token: str) -> bool:
        """Whether a link ever had this token, good or void."""
        return self._get(f"review#{digest(token)}", "review") is not None

    def ask(self, review: Review, before: Review | None) -> Review:
        """Store a question and what its link is about, both or none.

        Raises:
            Changed: there is one already, or another than `before`.
        """
        after = review.model_copy(update={"revision": before.revision + 1 if before else 1})
        link = {"family": review.family, "model": review.model, "version": review.version}
        link_item = {
            "pk": f"review#{review.token_digest}", "sk": "review", **link, _RELEASE: review.release is not None,
            "expires": review.until + LINKS_KEPT_S,
        }  # fmt: skip
        writes = [self._put(after, before), {"Put": {"TableName": self._table, "Item": encode_all(link_item)}}]
        try:
            self._dynamodb.transact_write_items(TransactItems=writes)
        except ClientError as error:
            raise _changed(error, review) from error
        return after

    def save(self, before: Review, **changes: Any) -> Review:
        """Write a change of a review.

        Raises:
            Changed: it is not as it was read.
        """
        after = before.model_copy(update={**changes, "revision": before.revision + 1})
        try:
            self._dynamodb.put_item(**self._put(after, before)["Put"])
        except ClientError as error:
            raise _changed(error, before) from error
        return after

    def _put(self, review: Review, before: Review | None) -> dict[str, Any]:
        pk, sk = review.key
        document = {**review.model_dump(mode="json"), "pk": pk, "sk": sk}
        put = {"TableName": self._table, "Item": encode_all(document)}
        if before is None:
            return {"Put": {**put, "ConditionExpression": "attribute_not_exists(pk)"}}
        seen = {
            "ConditionExpression": "revision = :seen",
            "ExpressionAttributeValues": encode_all({":seen": before.revision}),
        }
        return {"Put": {**put, **seen}}

    def _at(self, pk: str, sk: str) -> Review | None:
        item = self._get(pk, sk)
        return Review.model_validate(item) if item else None

    def _get(self, pk: str, sk: str) -> dict[str, Any] | None:
        key = {"pk": {"S": pk}, "sk": {"S": sk}}
        item = self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return {name: value for name, value in decode_all(item).items() if name not in ("pk", "sk")} if item else None


def _changed(error: ClientError, review: Review) -> Exception:
    code = error.response["Error"]["Code"]
    return Changed(review.name) if code in {*CONTENTION, "ConditionalCheckFailedException"} else error
