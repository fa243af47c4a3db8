"""Clean up: of what was made for an endpoint, what it does not use is removed.

Called at the end of each release, and again when an endpoint that was changing has come to rest.
"""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from boxcar.serving.dashboard import forget_dashboard
from boxcar.serving.planning import AT_REST, describe
from boxcar.serving.records import Endpoint, Endpoints
from boxcar.serving.scaling import forget_scaling
from boxcar.serving.targets import update_request

_GONE = ("Could not find", "does not exist", "not found")


@dataclass(frozen=True)
class Cleaner:
    """Removes what is left over.

    Attributes:
        sagemaker, cloudwatch, scaling: clients.
    """

    endpoints: Endpoints
    sagemaker: Any
    cloudwatch: Any
    scaling: Any

    def has_work(self, record: Endpoint) -> bool:
        """Whether there is more than what is live."""
        return set(record.made) != ({record.live.config} if record.live else set()) or bool(_stale(record))

    def clean(self, record: Endpoint) -> Endpoint:
        """Remove what is not live. What SageMaker is still busy with is left for the next time."""
        if not self.has_work(record):
            return record
        seen, kept = describe(self.sagemaker, record.endpoint), record.live.config if record.live else ""
        if seen and seen["EndpointStatus"] not in AT_REST:
            return record
        if seen and not kept:
            self.sagemaker.delete_endpoint(EndpointName=record.endpoint)
        elif seen and seen["EndpointStatus"] == "InService" and seen["EndpointConfigName"] != kept:
            # A deployment that came to its end after its release had been given up.
            self.sagemaker.update_endpoint(**update_request(record.endpoint, kept))
            return record
        used = set(record.made.get(kept, []))
        for config, models in record.made.items():
            if config == kept:
                continue
            _unless_gone(self.sagemaker.delete_endpoint_config, EndpointConfigName=config)
            for model in set(models) - used:
                _unless_gone(self.sagemaker.delete_model, ModelName=model)
        removed, stale = set(record.made) - {kept}, _stale(record)
        if stale:
            self.cloudwatch.delete_alarms(AlarmNames=stale)
        if record.live is None:
            forget_dashboard(self.cloudwatch, record.endpoint)

        def cleaned(before: Endpoint) -> Endpoint:
            left = {config: models for config, models in before.made.items() if config not in removed}
            trial = before.trial if before.trial and before.trial.config in left else None
            alarms = [name for name in before.alarms if name not in stale]
            return before.model_copy(update={"made": left, "alarms": alarms, "trial": trial})

        return self.endpoints.change(record, cleaned)

    def remove(self, record: Endpoint) -> None:
        """Remove an endpoint with everything that was made for it; the scalable target first, or AWS refuses."""
        forget_scaling(self.scaling, record.endpoint)
        if describe(self.sagemaker, record.endpoint):
            self.sagemaker.delete_endpoint(EndpointName=record.endpoint)
        for config, models in record.made.items():
            _unless_gone(self.sagemaker.delete_endpoint_config, EndpointConfigName=config)
            for model in models:
                _unless_gone(self.sagemaker.delete_model, ModelName=model)
        if record.alarms:
            self.cloudwatch.delete_alarms(AlarmNames=record.alarms)
        forget_dashboard(self.cloudwatch, record.endpoint)
        self.endpoints.forget(record.endpoint)


def _stale(record: Endpoint) -> list[str]:
    """Alarms that watch nothing that is live: of a version that is gone, or of a limit that the family sets no more."""
    if record.live and record.live.alarms is None:
        return []
    watching = record.live.alarms if record.live and record.live.alarms else []
    return [name for name in record.alarms if name not in watching]


def _unless_gone(call: Any, **request: Any) -> None:
    try:
        call(**request)
    except ClientError as error:
        if not any(words in error.response["Error"].get("Message", "") for words in _GONE):
            raise
