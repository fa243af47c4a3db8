"""The routes of the jobs API; those of releases are in `boxcar.api.releases`, of decisions in `boxcar.approvals`."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from boxcar.api import openapi, releases
from boxcar.api.calls import Answer, Call
from boxcar.api.conflicts import refuse_conflicts
from boxcar.api.openapi import Route
from boxcar.api.problems import CONTENT_TYPE, Refused, internal, invalid, name_taken, not_valid, refused
from boxcar.api.types import (
    EXAMPLE,
    JobList,
    ListQuery,
    NewJob,
    NewJobs,
    NoQuery,
    ShownJob,
    ShowQuery,
    SubmittedJob,
    SubmittedJobs,
)
from boxcar.approvals import routes as decisions
from boxcar.errors import DifferentJob, StepError, UnknownJob
from boxcar.jobs.documents import JobDocument, document
from boxcar.jobs.explain import MOST_AHEAD, Surroundings, explain
from boxcar.jobs.history import BadToken, History, Listing, today
from boxcar.jobs.record import NEW, Job
from boxcar.jobs.stop import stop
from boxcar.jobs.submit import JobRequest, Submitted, Submitter, own_id, wakes
from boxcar.jobs.table import JobsTable
from boxcar.settings import Settings

Model = TypeVar("Model", bound=BaseModel)
MOST_STEP = 200_000  # characters of a step: an item of DynamoDB holds 400 KB, and it grows with its attempts
log = logging.getLogger("boxcar")


@dataclass
class JobsApi:
    """What answering needs.

    Attributes:
        wake: tells the launcher, with the fields of `boxcar.jobs.wakes.Work`.
        tell_monitor: tells the monitor.
    """

    table: JobsTable
    history: History
    submitter: Callable[[], Submitter]
    settings: Settings
    wake: Callable[[dict[str, Any]], None]
    tell_monitor: Callable[[dict[str, Any]], None]
    now: Callable[[], float]
    releases: Callable[[], releases.ReleaseCalls]

    def answer(self, event: dict[str, Any], reference: str = "") -> dict[str, Any]:
        """Answer one event of API Gateway. Nothing is raised: what goes wrong is a problem document.

        Args:
            event: payload format 1.0.
            reference: of this call in the log.
        """
        try:
            call = Call.of(event)
            route = _BY_PLACE.get((call.method, call.resource))
            if route is None:
                raise Refused(404, "There is no such path", detail=f"{call.method} {call.resource} is not known")
            if route.name in releases.ANSWERS:
                _query(call, NoQuery)
                return releases.ANSWERS[route.name](self.releases(), call).event()
            return _ANSWERS[route.name](self, call).event()
        except Exception as error:
            problem = refused(error)
            if problem is None or problem.status >= 500:
                log.exception("call not answered", extra={"reference": reference})
            problem = problem or internal(reference)
            return Answer(problem.status, problem.problem, problem.headers, CONTENT_TYPE).event()

    def submit(self, call: Call) -> Answer:
        """Store jobs and wake the launcher. What a caller repeats after a crash is finished, and wakes it again."""
        _query(call, NoQuery)
        body = call.body()
        many = isinstance(body, dict) and "jobs" in body
        new = _parsed(NewJobs, body).jobs if many else [_parsed(NewJob, body)]
        requests = [_owned(job, call, f"jobs[{index}]" if many else "") for index, job in enumerate(new)]
        if many:
            refuse_conflicts(requests, self.table, self.settings.stack)
        submitter = self.submitter()
        try:
            submitted = submitter.submit_jobs(requests)
        except StepError as error:
            raise not_valid(error, "jobs[0]." if many else "") from None
        except DifferentJob as error:
            raise name_taken(error, f"jobs[{error.index}]." if many else "") from None
        finally:  # what was stored is to run, whatever became of the rest
            for work in wakes(submitter.startable):
                self.wake(work)
        documents = [self._submitted(result) for result in submitted]
        status = 201 if any(result.created for result in submitted) else 200
        return Answer(status, {"jobs": documents} if many else documents[0])

    def list(self, call: Call) -> Answer:
        """One page of summaries."""
        query = _query(call, ListQuery)
        days = query.days or (1 if query.day else 7)
        listing = Listing(
            day=query.day or today(self.now()),
            days=days,
            owner=query.owner,
            run=query.run,
            status=query.status or "",
            sweep=query.sweep,
            family=query.family,
            kind=query.kind,
            tags=_tags(query.tag),
        )
        if listing.day - timedelta(days=days) > today(self.now()):
            raise Refused(400, "The request is not valid", [("day", f"{listing.day} is still to come")])
        try:
            page = self.history.page(listing, query.limit, query.next)
        except BadToken as error:
            raise Refused(400, "The request is not valid", [("next", str(error))]) from None
        return Answer(200, {"jobs": [job.model_dump() for job in page.jobs], "next": page.next or None})

    def show(self, call: Call) -> Answer:
        """One job, and why it is where it is."""
        query = _query(call, ShowQuery)
        job = self._find(call)
        explanation = explain(job, self._surroundings(job), self.now()).model_dump() if query.explain else None
        return Answer(200, {**document(job, self.settings).model_dump(), "explanation": explanation})

    def stop(self, call: Call) -> Answer:
        """Have a job stopped."""
        _query(call, NoQuery)
        job = self._find(call)
        stopped = stop(self.table, job.id, call.who or "somebody", self.now(), self.settings.history_s)
        if stopped is None:
            raise _unknown(call)
        self.tell_monitor({"stop": job.id})
        return Answer(202, document(stopped, self.settings).model_dump())

    def retry(self, call: Call) -> Answer:
        """Start a job afresh."""
        _query(call, NoQuery)
        submitter = self.submitter()
        job = submitter.retry(self._find(call).id)
        for work in wakes(submitter.startable):
            self.wake(work)
        return Answer(202, document(job, self.settings).model_dump())

    def describe(self, call: Call) -> Answer:
        """The OpenAPI document."""
        _query(call, NoQuery)
        return Answer(200, openapi.document(DOCUMENTED, call.stage or "v1"))

    def _find(self, call: Call) -> Job:
        """The job of an id, or of the name under which the caller submitted it."""
        named = call.path["id"]
        job = self.table.get(named)
        if job is None and call.who:
            job = self.table.get(own_id(self.settings.stack, call.who, named))
        if job is None:
            raise _unknown(call)
        return job

    def _surroundings(self, job: Job) -> Surroundings:
        if job.status != NEW:
            return Surroundings()
        in_line = not job.resting
        first = self.table.waiting(job.pools[0], 1) if in_line else []
        return Surroundings(
            leases={pool: self.table.lease(pool) for pool in job.pools},
            configured=self.settings.instance_limits,
            ahead=self.table.ahead(job, MOST_AHEAD) if in_line else None,
            whose_turn=first[0].owner if first else "",
        )

    def _submitted(self, result: Submitted) -> dict[str, Any]:
        return {**document(result.job, self.settings).model_dump(), "created": result.created}


ROUTES = (
    Route(
        "POST", "/jobs", "submit", "Submit a job, or up to 100 at once",
        {
            201: ("Stored, one of them at least for the first time.", (SubmittedJob, SubmittedJobs)),
            200: ("All were known already; nothing changed.", (SubmittedJob, SubmittedJobs)),
        },
        "The name in `job` makes it safe to repeat: the same request again finds the job that it made the first time. "
        "All jobs of a request are checked before the first one is stored.",
        body=(NewJob, NewJobs), problems=(409,),
        examples={"one": EXAMPLE, "several": {"jobs": [EXAMPLE]}},
    ),
    Route(
        "GET", "/jobs", "list", "List jobs, newest first", {200: ("One page.", JobList)},
        "A page reads a bounded number of records: it may hold fewer jobs than `limit`, or none, and still be followed "
        "by another. Go on until `next` is null, with all other parameters as they were.",
        query=ListQuery,
    ),
    Route(
        "GET", "/jobs/{id}", "show", "Show a job", {200: ("The job.", ShownJob)}, query=ShowQuery, problems=(404,)
    ),
    Route(
        "DELETE", "/jobs/{id}", "stop", "Stop a job",
        {202: ("It is being stopped, or is Stopped already if it had not been launched.", JobDocument)},
        problems=(404, 409),
    ),
    Route(
        "POST", "/jobs/{id}/retry", "retry", "Start afresh a job that Failed or was Stopped",
        {202: ("It is New again; its attempts go on counting.", JobDocument)}, problems=(404, 409),
    ),
    *releases.ROUTES,
    Route("GET", "/openapi.json", "describe", "This document", {200: ("An OpenAPI document.", None)}),
)  # fmt: skip
DOCUMENTED = (*ROUTES, *decisions.ROUTES)  # another function of the same API answers the latter
_BY_PLACE = {(route.method, route.resource): route for route in ROUTES}
_ANSWERS: dict[str, Callable[[JobsApi, Call], Answer]] = {
    route.name: getattr(JobsApi, route.name) for route in ROUTES if route.name not in releases.ANSWERS
}


def _parsed(model: type[Model], body: Any) -> Model:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise invalid(error) from None


def _query(call: Call, model: type[Model]) -> Model:
    """The parameters behind `?`. Each may be given once, but for those that are lists."""
    values: dict[str, Any] = {}
    for name, texts in call.query.items():
        field = model.model_fields.get(name)
        is_list = field is not None and field.default_factory is list
        if not is_list and len(texts) > 1:
            raise Refused(400, "The request is not valid", [(name, "it is given more than once")])
        values[name] = texts if is_list else texts[0]
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise invalid(error) from None


def _owned(job: NewJob, call: Call, where: str) -> JobRequest:
    """The request with its owner."""
    owner = f"{where}.owner" if where else "owner"
    size = len(job.step.model_dump_json())
    if size > MOST_STEP:
        said = f"it has {size} characters, {MOST_STEP} are allowed; put what is large into S3 and give its address"
        raise Refused(400, "The request is not valid", [(f"{where}.step" if where else "step", said)])
    try:
        return JobRequest(**{**dict(job), "owner": job.owner or call.who})
    except ValidationError:
        said = f"{call.who!r}, the name of the caller, cannot be the name of an owner; write one"
        raise Refused(400, "The request is not valid", [(owner, said)]) from None


def _tags(texts: list[str]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise Refused(400, "The request is not valid", [("tag", f"{text!r} is not key=value")])
        if tags.setdefault(key, value) != value:
            raise Refused(400, "The request is not valid", [("tag", f"{key!r} cannot have two values")])
    return tags


def _unknown(call: Call) -> UnknownJob:
    return UnknownJob(f"there is no job {call.path['id']!r}; GET /jobs lists those there are")
