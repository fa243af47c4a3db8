"""The routes of releases and endpoints: start a release, see what serves and what waits for a decision."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import Field, ValidationError

from boxcar.api.calls import Answer, Call
from boxcar.api.openapi import Route
from boxcar.api.problems import Refused, invalid
from boxcar.errors import BoxcarError, TriggerError, UnknownVersion, VersionNotApproved
from boxcar.registry.table import ModelsTable
from boxcar.serving.overview import EndpointDocument, Overview
from boxcar.serving.planning import serving_of, wanted_version
from boxcar.serving.requests import ReleaseRequest
from boxcar.serving.targets import endpoint_name
from boxcar.starting import SOURCE, FamilyOf, Start, is_started, start
from boxcar.steps import Document
from boxcar.versions import WRITTEN

EXAMPLE: dict[str, Any] = {"release": "week-48", "family": "packaging", "model": "box", "version": "1.0.2"}
_FIELD = re.compile(rf"^(?:{SOURCE}: )?(?P<field>[a-z_]+): (?P<words>.*)$", re.DOTALL)


class NewRelease(Document):
    """A version to put on its endpoint."""

    release: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,62}$",
        description="a name for it, one for a model: the same request again, whoever sends it, is the same release",
    )
    family: str
    model: str
    version: str | None = Field(
        default=None, pattern=WRITTEN, description="an approved one; the approved one, if it is left out"
    )


class StartedRelease(Document):
    """A release that was started, now or before."""

    release: str
    family: str
    model: str
    version: str | None = Field(description="as it was asked for; null: the approved one, when it is planned")
    run: str = Field(description="of the release machine")
    execution: str = Field(description="its ARN, for Step Functions")
    endpoint: str
    created: bool = Field(description="false: it had been started already, and nothing changed")


class EndpointList(Document):
    """Every endpoint that a release has had the turn of, by name."""

    endpoints: list[EndpointDocument]


@dataclass(frozen=True)
class ReleaseCalls:
    """Answers calls about releases and endpoints.

    Attributes:
        states: client of Step Functions.
        machines: ARNs by name; `release` is among them.
        family: the stored version of a family; raises TriggerError if there is none.
        stack: name of the stack.
        now: seconds since the epoch.
    """

    states: Any
    machines: dict[str, str]
    family: FamilyOf
    table: ModelsTable
    overview: Overview
    stack: str
    now: Callable[[], float]

    def release(self, call: Call) -> Answer:
        """Start a release, once a name: a caller that comes again may have another session, or another address."""
        try:
            asked = NewRelease.model_validate(call.body())
        except ValidationError as error:
            raise invalid(error) from None
        request = {name: value for name, value in asked.model_dump().items() if name != "release" and value is not None}
        who = call.who or "somebody"
        token = f"api/{asked.family}/{asked.model}/{asked.release}"
        begin = Start(machine="release", input={**request, "requested_by": who}, token=token)
        wanted = ReleaseRequest.model_validate(begin.input)
        try:
            known = is_started(self.states, self.machines, begin, wanted.subject)
            if not known:  # of one that was started, the run itself has told
                serving_of(wanted, SOURCE, self.family(asked.family, SOURCE))
                wanted_version(self.table, wanted, SOURCE)
            run = start(self.states, self.machines, begin, self.family, datetime.fromtimestamp(self.now(), UTC))
        except (TriggerError, UnknownVersion, VersionNotApproved) as error:
            raise _named(error) from None
        document = {
            **asked.model_dump(),
            "run": run["run"],
            "execution": run["execution"],
            "endpoint": endpoint_name(self.stack, asked.family, asked.model),
            "created": not known and run["started"],
        }
        return Answer(201 if document["created"] else 200, document)

    def list(self, call: Call) -> Answer:
        """Every endpoint."""
        return Answer(200, {"endpoints": [one.model_dump(mode="json") for one in self.overview.all()]})

    def show(self, call: Call) -> Answer:
        """The endpoint of a model."""
        family, model = call.path["family"], call.path["model"]
        found = self.overview.one(endpoint_name(self.stack, family, model), family, model)
        if found is None:
            said = f"{family}/{model} has no endpoint; GET /endpoints lists those there are"
            raise Refused(404, "There is no such endpoint", detail=said)
        return Answer(200, found.model_dump(mode="json"))


def _named(error: BoxcarError) -> Refused:
    """The problem, with the field that it is about."""
    match = _FIELD.match(str(error))
    field, words = (match["field"], match["words"]) if match else ("model", str(error))
    if field == "token":
        said = "it stands for another release of this model; take another name, or repeat the request as it was"
        return Refused(409, "The name is taken by a release with other contents", [("release", said)])
    if not isinstance(error, TriggerError):
        field = "version"
    status, title = (409, "Its status does not allow it") if isinstance(error, VersionNotApproved) else (
        400, "The request is not valid",
    )  # fmt: skip
    return Refused(status, title, [(field, words)])


ROUTES = (
    Route(
        "POST", "/releases", "release", "Put an approved version of a model on its endpoint",
        {
            201: ("Started.", StartedRelease),
            200: ("It had been started already; nothing changed.", StartedRelease),
        },
        "The name in `release` makes it safe to repeat: the same request again finds the run that it started the first "
        "time. What becomes of it, `GET /endpoints/{family}/{model}` says.",
        body=(NewRelease,), problems=(409,), examples={"one": EXAMPLE}, tag="releases",
    ),
    Route(
        "GET", "/endpoints", "list_endpoints", "List endpoints, and what serves on each",
        {200: ("All of them.", EndpointList)}, tag="releases",
    ),
    Route(
        "GET", "/endpoints/{family}/{model}", "show_endpoint", "Show the endpoint of a model",
        {200: ("The endpoint.", EndpointDocument)},
        "What serves, which release changes it or waits for a decision, and who decided about releases.",
        problems=(404,), tag="releases",
    ),
)  # fmt: skip
ANSWERS: dict[str, Callable[[ReleaseCalls, Call], Answer]] = {
    "release": ReleaseCalls.release,
    "list_endpoints": ReleaseCalls.list,
    "show_endpoint": ReleaseCalls.show,
}
