"""Deploy: put a version on its endpoint. Asks SageMaker and returns; the Task is answered when SageMaker says so.

What is to be made is written into the endpoint's record first, then it is made, under names that stand for contents, so
a repeat goes on where the one before died, and whoever cleans up knows of everything.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from boxcar.errors import THROTTLE_CODES, EndpointBusy, NotPossible, ReleaseRefused
from boxcar.jobs.sagemaker import already_exists
from boxcar.serving.guards import alarm_names, alarms
from boxcar.serving.planning import describe
from boxcar.serving.records import Awaited, Endpoint, Endpoints, Live, Trial
from boxcar.serving.scaling import forget_scaling
from boxcar.serving.targets import Target, update_request
from boxcar.serving.turns import succeed
from boxcar.serving.watching import answer
from boxcar.versions import Version

log = logging.getLogger("boxcar")


@dataclass(frozen=True)
class Deployer:
    """Deploys, and takes deployments back.

    Attributes:
        sagemaker, cloudwatch, scaling, states: clients; the third of Application Auto Scaling.
        stack: name of the stack.
        now: seconds since the epoch.
    """

    endpoints: Endpoints
    sagemaker: Any
    cloudwatch: Any
    scaling: Any
    states: Any
    stack: str
    now: Callable[[], float] = time.time

    def deploy(self, target: Target, execution: str, token: str) -> str:
        """Make model, configuration and alarms, and create or update the endpoint.

        Args:
            target: what is to serve.
            execution: ARN of the release, whose turn it is.
            token: of the Task that waits until it serves.

        Returns:
            `live` (the Task is answered: a release before this one has published it), `deployed` (the Task is answered:
            it is in service, and no release has published it), `creating`, `updating`, or `waits` (asked before).

        Raises:
            ReleaseRefused: SageMaker does not take something as it is described.
            EndpointBusy: the endpoint changes for another reason.
            NotPossible: it is another release's turn.
        """
        watched = alarm_names(self.stack, target)

        def note(before: Endpoint) -> Endpoint:
            models = {**before.made, target.config_name: [target.model_name]}
            known = [*before.alarms, *(name for name in watched if name not in before.alarms)]
            return before.model_copy(update={"made": models, "alarms": known})

        record = self._await(target.endpoint, execution, token, target.config_name, note)
        seen = describe(self.sagemaker, target.endpoint)
        if seen and seen["EndpointConfigName"] == target.config_name and seen["EndpointStatus"] == "InService":
            self._watch(target)  # by the limits that the family has now
            return self._is_there(record, token, target.config_name)
        self._make(target)
        if seen is None:
            return self._create(record, target.config_name)
        # Guardrails need the same variants before and after: a trial of two production variants has been the canary.
        guarded = len(seen.get("ProductionVariants", [])) < 2
        deployment = target.deployment(_instances(seen), self._quiet(watched)) if guarded else {}
        return self._update(record, seen, target.config_name, deployment)

    def begin_trial(self, target: Target, run: str, execution: str, token: str) -> str:
        """Put a version beside the one that is live, to be compared with it.

        Args:
            target: the version that is tried.
            run: the release.
            execution, token: as in `deploy`.

        Returns:
            as `deploy`, or `none` (the Task is answered): nothing is live that it could be compared with, it is live
            itself, if with another configuration, or it is an earlier version than that.

        Raises:
            ReleaseRefused, EndpointBusy, NotPossible: as there.
        """
        record, seen = self.endpoints.get(target.endpoint), describe(self.sagemaker, target.endpoint)
        # An earlier version takes back what is live: it must not go on serving until a trial is over.
        if not (record and record.live and seen) or _is_not_new(record.live, target):
            succeed(self.states, token, {"status": "none"})
            return "none"
        live = self.sagemaker.describe_endpoint_config(EndpointConfigName=record.live.config)
        trial = Trial(
            kind=target.serving.trial_kind,
            version=target.version,
            config=target.trial_name(record.live.config),
            run=run,
            since=self.now(),
        )

        def note(before: Endpoint) -> Endpoint:
            kept = before.trial and (before.trial.run, before.trial.config) == (run, trial.config)
            made = {**before.made, trial.config: [target.model_name]}
            return before.model_copy(update={"made": made, "trial": before.trial if kept else trial})

        record = self._await(target.endpoint, execution, token, trial.config, note)
        if seen["EndpointConfigName"] == trial.config and seen["EndpointStatus"] == "InService":
            return self._is_there(record, token, trial.config)
        self._ask("create_model", **target.model_request())
        self._ask("create_endpoint_config", **target.trial_request(live, _instances(seen)))
        return self._update(record, seen, trial.config, {})

    def take_back(self, endpoint: str, execution: str, token: str) -> str:
        """Put the version before back, all at once. Where there was none, nothing is to be done but to clean up.

        Returns:
            as `deploy`.

        Raises:
            ReleaseRefused, EndpointBusy, NotPossible: as there.
        """
        record = self.endpoints.get(endpoint)
        if record is None or record.live is None:
            succeed(self.states, token, {"status": "nothing"})
            return "live"
        config = record.live.config
        record = self._await(endpoint, execution, token, config, lambda before: before)
        seen = describe(self.sagemaker, endpoint)
        if seen is None:  # it had failed
            return self._create(record, config)
        if seen["EndpointConfigName"] == config and seen["EndpointStatus"] == "InService":
            return self._is_there(record, token, config)
        return self._update(record, seen, config, {})

    def _await(self, endpoint: str, execution: str, token: str, config: str, note: Any) -> Endpoint:
        known = self.endpoints.get(endpoint)
        if known is None or known.holder is None or known.holder.execution != execution:
            raise NotPossible(f"endpoint {endpoint}: it is not the turn of {execution.rpartition(':')[2]}")

        def wait(before: Endpoint) -> Endpoint:
            begun = bool(before.awaited and before.awaited.begun and before.awaited.config == config)
            return note(before).model_copy(
                update={"awaited": Awaited(token=token, config=config, begun=begun, since=self.now())}
            )

        return self.endpoints.change(known, wait)

    def _make(self, target: Target) -> None:
        self._ask("create_model", **target.model_request())
        self._ask("create_endpoint_config", **target.config_request())
        self._watch(target)

    def _watch(self, target: Target) -> None:
        for request in alarms(self.stack, target):
            self.cloudwatch.put_metric_alarm(**request)

    def _create(self, record: Endpoint, config: str) -> str:
        def unscaled(before: Endpoint) -> Endpoint:  # the next release of what is live has it scaled
            live = before.live.model_copy(update={"beside": ""}) if before.live else None
            return before.model_copy(update={"live": live})

        record = self.endpoints.change(record, unscaled)
        tags = {"boxcar:family": record.family, "boxcar:model": record.model}
        self._ask("create_endpoint", EndpointName=record.endpoint, EndpointConfigName=config,
                  Tags=[{"Key": key, "Value": value} for key, value in tags.items()])  # fmt: skip
        return self._begun(record, "creating")

    def _quiet(self, names: list[str]) -> list[str]:
        """Alarms that do not ring. One that does is about what serves now, and would undo whatever is to mend that."""
        told = self.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"] if names else []
        ringing = [alarm["AlarmName"] for alarm in told if alarm["StateValue"] == "ALARM"]
        if ringing:
            log.warning("alarms that ring already do not stop this deployment: %s", ", ".join(ringing))
        return [name for name in names if name not in ringing]

    def _update(self, record: Endpoint, seen: dict[str, Any], config: str, deployment: dict[str, Any]) -> str:
        status = seen["EndpointStatus"]
        if status == "Failed":  # AWS allows nothing else with it; when it is gone, a repeat makes it anew
            forget_scaling(self.scaling, record.endpoint)
            self.sagemaker.delete_endpoint(EndpointName=record.endpoint)
            raise EndpointBusy(f"endpoint {record.endpoint}: had failed before, and is being deleted")
        if status != "InService":
            if record.awaited and record.awaited.begun:
                return "waits"
            raise EndpointBusy(f"endpoint {record.endpoint}: is {status}")
        asked = update_request(record.endpoint, config)
        self._ask("update_endpoint", **asked, **({"DeploymentConfig": deployment} if deployment else {}))
        return self._begun(record, "updating")

    def _begun(self, record: Endpoint, word: str) -> str:
        def begin(before: Endpoint) -> Endpoint:
            if before.awaited is None:  # the answer was faster
                return before
            return before.model_copy(update={"awaited": before.awaited.model_copy(update={"begun": True})})

        after = self.endpoints.change(record, begin)
        seen = describe(self.sagemaker, record.endpoint)
        if (
            seen
            and after.awaited
            and (seen["EndpointConfigName"], seen["EndpointStatus"])
            in (
                (after.awaited.config, "InService"),
                (after.awaited.config, "Failed"),
            )
        ):  # its event may have come before this was written down, and said nothing to anybody
            answer(self.endpoints, self.sagemaker, self.states, after, after.awaited)
        return word

    def _is_there(self, record: Endpoint, token: str, config: str) -> str:
        # What a run that died has put into service has not been tested.
        status = "live" if record.live and record.live.config == config else "deployed"
        succeed(self.states, token, {"status": status})
        self.endpoints.change(record, lambda before: before.model_copy(update={"awaited": None}))
        return status

    def _ask(self, call: str, **request: Any) -> None:
        try:
            getattr(self.sagemaker, call)(**request)
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
            if already_exists(error) and call != "update_endpoint":
                return
            if "in-progress" in message:
                raise EndpointBusy(f"{call}: {message}") from error
            if code in ("ValidationException", "ResourceLimitExceeded") and code not in THROTTLE_CODES:
                raise ReleaseRefused(f"{call}: {code}: {message}") from error
            raise


def _is_not_new(live: Live, target: Target) -> bool:
    return Version.parse(target.version) <= Version.parse(live.version)


def _instances(seen: dict[str, Any]) -> int:
    return sum(int(variant.get("CurrentInstanceCount", 1)) for variant in seen.get("ProductionVariants", []))
