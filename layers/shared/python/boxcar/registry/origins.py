"""What a version was made of: rows, code, image and other versions. Recorded when it is registered.

Working files of runs expire; what is recorded here is what is left to say, years later, which data a model saw.
"""

import hashlib
import re
from typing import TYPE_CHECKING, Any

from boxcar.content import content_digest
from boxcar.plans import ModelPlan, Plan
from boxcar.steps import Code, Document

if TYPE_CHECKING:  # it finds steps by way of this package
    from boxcar.run_outputs import RunOutputs

_OF_VERSION = re.compile(r"s3://[^/]+/models/(?P<family>[^/]+)/(?P<model>[^/]+)/(?P<version>\d+\.\d+\.\d+)/")
UPSTREAM = "upstream_"  # inputs of a model's first step that hold the models whose predictions it uses


class Unloaded(Document):
    """The rows that a run trained on."""

    query: str  # SQL
    query_digest: str  # sha256 of it, 64 hex digits
    address: str  # s3://…/ where the files lay; they expire with the run's folder
    digest: str  # of their content: boxcar.content
    files: int
    bytes: int


class Origin(Document):
    """Everything a version came from."""

    source: str  # what started the run: s3://… of a trigger, a schedule, "api"
    requested_by: str
    family_version: int
    family_file: str
    image: str  # URI of the container
    code: Code | None  # of the architecture; None: no step has any
    unloaded: Unloaded | None  # None: the run unloaded nothing
    upstream: dict[
        str, str
    ]  # model -> version whose predictions it uses, or the artifact's address if it is no version's


def query_digest(sql: str) -> str:
    """sha256 of a query, 64 hex digits: equal for equal text."""
    return hashlib.sha256(sql.encode()).hexdigest()


def origin_of(plan: Plan, model: ModelPlan, outputs: "RunOutputs", s3: Any, image: str) -> Origin:
    """Gather what a candidate was made of, while its run's files are there.

    Args:
        plan: of the run.
        model: the candidate's part of it.
        outputs: of the same run.
        s3: needs s3:ListBucket on the bucket of the run.
        image: URI of the container that serves it.
    """
    inputs = outputs.inputs_of(model.model, model.steps[0].name)
    upstream = {name.removeprefix(UPSTREAM): uri for name, uri in inputs.items() if name.startswith(UPSTREAM)}
    return Origin(
        source=plan.source,
        requested_by=plan.requested_by,
        family_version=plan.family_version,
        family_file=plan.family_file,
        image=image,
        code=next((step.code for step in model.steps if step.code), None),
        unloaded=_unloaded(plan, outputs, s3),
        upstream={name: version_at(uri) or uri for name, uri in sorted(upstream.items())},
    )


def version_at(uri: str) -> str | None:
    """The version whose files lie at an address: `1.0.2` for `s3://…/models/packaging/box/1.0.2/model.tar.gz`."""
    match = _OF_VERSION.match(uri)
    return match["version"] if match else None


def _unloaded(plan: Plan, outputs: "RunOutputs", s3: Any) -> Unloaded | None:
    step = next((step for step in plan.steps if "unload" in step.options), None)
    if step is None:
        return None
    address = outputs.output_of("", step.name, step.outputs[0])
    query, content = step.options["unload"]["query"], content_digest(s3, address)
    return Unloaded(
        query=query,
        query_digest=query_digest(query),
        address=address,
        digest=content.digest,
        files=content.files,
        bytes=content.bytes,
    )
