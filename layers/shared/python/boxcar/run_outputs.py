"""What a run has made so far: its plan in S3, the outputs of its finished steps in the jobs table."""

from functools import cached_property
from typing import Any

from boxcar.errors import StepError
from boxcar.plans import ModelPlan, Plan, read_plan
from boxcar.registry.packages import output_step


class RunOutputs:
    """Reads one run."""

    def __init__(self, s3: Any, dynamodb: Any, *, bucket: str, jobs_table: str, stack: str, run: str) -> None:
        self._s3 = s3
        self._dynamodb = dynamodb
        self._bucket = bucket
        self._jobs_table = jobs_table
        self._stack = stack
        self.run = run

    @cached_property
    def plan(self) -> Plan:
        """What the run is to do.

        Raises:
            StepError: it has no plan.
        """
        return read_plan(self._s3, self._bucket, self.run)

    def model_plan(self, model: str) -> ModelPlan:
        """The plan of one model.

        Raises:
            StepError: the run does not train it, or has no plan.
        """
        plan = self.plan
        if model not in plan.models:
            known = ", ".join(plan.models) or "(none)"
            raise StepError(f"model: run {self.run} does not train {model!r}; it trains {known}")
        return plan.models[model]

    def output(self, plan: ModelPlan, name: str) -> str:
        """The address of an output of the last step of a model that makes one of this name.

        Raises:
            StepError: no step makes it, or the step has not finished.
        """
        key, step, item = self._job_that_makes(plan, name)
        address: str | None = item.get("outputs", {}).get("M", {}).get(name, {}).get("S")
        if not address:
            status = item.get("status", {}).get("S", "missing")
            raise StepError(
                f"{key}: outputs.{name} is missing (status {status}); step {step} of {plan.model} has to end"
            )
        return address

    def read_by(self, plan: ModelPlan, output: str, name: str) -> str | None:
        """The address that the step which makes an output read as its input `name`; None if it had no such input."""
        _, _, item = self._job_that_makes(plan, output)
        address: str | None = item.get("inputs", {}).get("M", {}).get(name, {}).get("S")
        return address

    def _job_that_makes(self, plan: ModelPlan, output: str) -> tuple[str, str, dict[str, Any]]:
        """Key and item of a job in the jobs table, and the name of its step; the item is empty if there is none."""
        from boxcar.jobs.names import job_id

        try:
            step = output_step(plan, output)
        except KeyError as error:
            raise StepError(f"{error.args[0]}; add it to `outputs` in architecture {plan.architecture}") from None
        key = f"job#{job_id(self._stack, self.run, plan.model, step.name)}"
        answer = self._dynamodb.get_item(TableName=self._jobs_table, Key={"pk": {"S": key}}, ConsistentRead=True)
        return key, step.name, answer.get("Item", {})
