"""What starts a release: a version that was approved, a file, or a call."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from boxcar.errors import Throttled
from boxcar.registry.packages import Packages
from boxcar.registry.table import ModelsTable
from boxcar.requests import ReadObject, RunRequest, read_trigger
from boxcar.versions import WRITTEN, Version

LOOKS, LOOK_EVERY_S = 20, 0.5  # at a table that the registry is ahead of; what takes longer is no matter of course
PACKAGE_EVENT = "SageMaker Model Package State Change"


class ReleaseRequest(RunRequest):
    """Which version is to serve."""

    example: ClassVar[str] = 'write {"family": "<name>", "model": "<name>"}, and optionally version and requested_by'

    family: str
    model: str
    version: str | None = Field(default=None, pattern=WRITTEN)  # None: the approved one


@dataclass(frozen=True)
class Asked:
    """A request, and where it came from.

    Attributes:
        of_the_registry: a version was approved or rejected; a family may not want that released.
    """

    request: ReleaseRequest
    source: str
    of_the_registry: bool = False


def read_release(
    event: dict[str, Any],
    read_object: ReadObject,
    packages: Packages,
    table: ModelsTable,
    pause: Callable[[float], None] = time.sleep,
) -> Asked | None:
    """Find out what is to be released.

    Args:
        event: what EventBridge says of a model package or of a file under triggers/release/, or a request itself.
        read_object: gives the bytes of (bucket, key, version id or None).
        packages: of this stack.
        table: of models.
        pause: lets seconds pass.

    Returns:
        None: the package is not one of this stack's, or has another status by now, of which another event tells.

    Raises:
        TriggerError: what was sent is not a request.
        Throttled: the registry is ahead of the models table for longer than a moment.
    """
    if event.get("detail-type") != PACKAGE_EVENT:
        trigger = read_trigger(event, read_object, ReleaseRequest)
        return Asked(trigger.request, trigger.source)
    detail = event["detail"]
    package = packages.describe(detail["ModelPackageArn"])
    told = package.get("CustomerMetadataProperties", {})
    family, model, version = (told.get(name) for name in ("family", "model", "version"))
    if not (family and model and version) or packages.group_name(family, model) != detail["ModelPackageGroupName"]:
        return None  # a stack boxcar hears of the packages of boxcar-dev
    if package["ModelApprovalStatus"] != detail["ModelApprovalStatus"]:
        return None
    status = detail["ModelApprovalStatus"]
    for _ in range(LOOKS):  # who registers or decides writes to the table last
        known = table.version(family, model, Version.parse(version))
        if known and known["status"] == status:
            break
        pause(LOOK_EVERY_S)
    else:
        raise Throttled(f"models table: {family}/{model} {version} is not {status} there yet")
    words = f"{version} is {status}"
    request = ReleaseRequest(family=family, model=model, requested_by=f"the registry: {words}")
    return Asked(request, f"model package {detail['ModelPackageArn']}", of_the_registry=True)
