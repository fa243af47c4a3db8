"""Plan: which version is to serve on which endpoint, and whether there is anything to do."""

import math
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from boxcar.benchmarks.instances import packaged_prices
from boxcar.errors import TriggerError, UnknownVersion, VersionNotApproved
from boxcar.families import Family, FamilyVersion, gate_of
from boxcar.registry.packages import Packages
from boxcar.registry.table import ModelsTable
from boxcar.serving.records import Endpoint, Endpoints
from boxcar.serving.requests import Asked, ReleaseRequest
from boxcar.serving.spec import Serving, TrialKind
from boxcar.serving.targets import Target, endpoint_name
from boxcar.serving.versions import version_of
from boxcar.steps import Document
from boxcar.versions import Version

AT_REST = ("InService", "Failed")  # an endpoint that does not change just now
WAIT_FOR_TURN_S = 6 * 3600  # a release before this one may take four hours at most, and its trial
ALLOWANCE_S = 900  # after SageMaker itself should have rolled a deployment back


class ReleasePlan(Document):
    """What a release will do. The state machine carries it."""

    status: str = "planned"
    run: str
    family: str
    owner: str
    model: str
    version: str
    endpoint: str
    serving: Serving
    source: str
    requested_by: str
    turn_timeout_s: int = WAIT_FOR_TURN_S
    deploy_timeout_s: int
    review_hours: int = 72  # a person may take so long to decide, if `serving` wants one asked
    instead_of: str = ""  # version that serves when the release is planned; "": none
    usd_per_hour: float | None = None  # of `serving.min` instances, at EC2's on-demand price; None: not known
    trial: TrialKind = "none"  # how it is tried before it takes the place of what is live
    look_every_s: int = 3600  # at a trial


@dataclass(frozen=True)
class Planner:
    """Plans releases.

    Attributes:
        sagemaker: client.
        stack: name of the stack, and so the prefix of its endpoints.
        role: ARN that endpoints run with.
        bucket: of the stack.
    """

    table: ModelsTable
    packages: Packages
    endpoints: Endpoints
    sagemaker: Any
    stack: str
    role: str
    bucket: str

    def plan(self, asked: Asked, version: FamilyVersion, run: str) -> ReleasePlan | str:
        """Plan a release.

        Args:
            asked: what for, and by whom.
            version: the family as it is now.
            run: of the release.

        Returns:
            the plan, or why there is nothing to do.

        Raises:
            TriggerError: there is no such model, or the family says nothing of its endpoint.
            UnknownVersion: there is no such version.
            VersionNotApproved: it is not approved, or none is.
        """
        request, family = asked.request, version.family
        name = f"{family.family}/{request.model}"
        if asked.of_the_registry and not _is_automatic(family, request.model):
            return f"{name} is not released by itself: {version.file} has no serving.automatic for it"
        serving = serving_of(request, asked.source, version)
        chosen = self._version(asked)
        if chosen is None:
            return f"no version of {name} is approved"
        target = self.target(chosen, serving)
        record = self.endpoints.get(target.endpoint)
        if self._is_live(record, target):
            return f"{name} {target.version} is live on {target.endpoint} already"
        return ReleasePlan(
            run=run,
            family=family.family,
            owner=family.owner,
            model=request.model,
            version=target.version,
            endpoint=target.endpoint,
            serving=serving,
            source=asked.source,
            requested_by=request.requested_by,
            turn_timeout_s=WAIT_FOR_TURN_S + math.ceil(serving.trial.hours * 3600 if serving.trial else 0),
            deploy_timeout_s=serving.timeout_s + ALLOWANCE_S,
            review_hours=gate_of(family, request.model).review_hours,
            instead_of=record.live.version if record and record.live else "",
            usd_per_hour=_cost(serving),
            trial=serving.trial_kind,
            look_every_s=serving.look_every_s,
        )

    def target(self, version: dict[str, Any], serving: Serving) -> Target:
        """A version, as the models table has it, on its endpoint."""
        family, model = version["family"], version["model"]
        package = self.packages.describe(version["package_arn"])
        container = package["InferenceSpecification"]["Containers"][0]
        return Target(
            endpoint=endpoint_name(self.stack, family, model),
            family=family,
            model=model,
            version=version["version"],
            container={name: container[name] for name in ("Image", "ModelDataUrl", "Environment") if name in container},
            serving=serving,
            role=self.role,
            bucket=self.bucket,
        )

    def of_plan(self, plan: ReleasePlan) -> Target:
        """The same for a plan that was made before.

        Raises:
            UnknownVersion: its version is gone.
        """
        return self.target(version_of(self.table, plan.family, plan.model, plan.version), plan.serving)

    def approved(self, plan: ReleasePlan) -> Target:
        """The same for a plan that is to be deployed now: it may have waited for days since it was made.

        Raises:
            VersionNotApproved: its version has been rejected meanwhile.
            UnknownVersion: it is gone.
        """
        found = version_of(self.table, plan.family, plan.model, plan.version)
        if found["status"] != "Approved":
            name = f"{plan.family}/{plan.model} {plan.version}"
            raise VersionNotApproved(
                f"{name} is {found['status']} by now; it was approved when the release was planned"
            )
        return self.target(found, plan.serving)

    def _is_live(self, record: Endpoint | None, target: Target) -> bool:
        """Whether an endpoint serves just this, as the family wants it, and nothing is about to change that."""
        if record is None or record.holder or not record.live or record.live.config != target.config_name:
            return False
        if record.live.beside != target.serving.beside_the_configuration:
            return False
        seen = describe(self.sagemaker, target.endpoint)
        return bool(seen and seen["EndpointStatus"] == "InService" and seen["EndpointConfigName"] == target.config_name)

    def _version(self, asked: Asked) -> dict[str, Any] | None:
        """The version that is asked for; None if the registry speaks, and none is approved."""
        if asked.of_the_registry:
            return self.table.approved_version(asked.request.family, asked.request.model)
        return wanted_version(self.table, asked.request, asked.source)


def wanted_version(table: ModelsTable, request: ReleaseRequest, source: str) -> dict[str, Any]:
    """The version that somebody wants released, as the models table has it.

    Raises:
        UnknownVersion: there is none of this number.
        VersionNotApproved: it is not approved, or none is.
    """
    name = f"{request.family}/{request.model}"
    if request.version is None:
        found = table.approved_version(request.family, request.model)
        if found is None:
            raise VersionNotApproved(f"{source}: no version of {name} is approved; approve one first")
        return found
    found = table.version(request.family, request.model, Version.parse(request.version))
    if found is None:
        raise UnknownVersion(
            f"{source}: version: there is no version {request.version} of {name}; `boxcar models list` shows them"
        )
    if found["status"] != "Approved":
        raise VersionNotApproved(
            f"{source}: version: {name} {request.version} is {found['status']}; `boxcar models approve "
            f"{name} {request.version}` approves it, or leave version out for the approved one"
        )
    return found


def serving_of(request: ReleaseRequest, source: str, version: FamilyVersion) -> Serving:
    """What the family says of the endpoint that is asked for.

    Raises:
        TriggerError: there is no such model, or the family says nothing of its endpoint.
    """
    family = version.family
    spec = family.models.get(request.model)
    if spec is None:
        raise TriggerError(
            f"{source}: model: {request.model!r} is not a model of family {family.family}; write one of "
            f"{', '.join(family.models)}"
        )
    if spec.serving is None:
        raise TriggerError(
            f"{version.file}: models.{request.model}.serving: is missing, so there is no endpoint to release to; "
            "write `serving: {}` or more (docs/family-file.md) and apply the family"
        )
    return spec.serving


def _cost(serving: Serving) -> float | None:
    """What the least instances cost an hour, in USD, at EC2's on-demand price. SageMaker asks more."""
    price = packaged_prices().usd_per_hour.get(serving.instance.removeprefix("ml."))
    return round(price * serving.min, 4) if price is not None else None


def _is_automatic(family: Family, model: str) -> bool:
    serving = family.models[model].serving if model in family.models else None
    return bool(serving and serving.automatic)


def describe(sagemaker: Any, endpoint: str) -> dict[str, Any] | None:
    """What SageMaker says of an endpoint; None if there is none."""
    try:
        seen: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=endpoint)
    except ClientError as error:
        if "Could not find" in error.response["Error"].get("Message", ""):
            return None
        raise
    return seen
