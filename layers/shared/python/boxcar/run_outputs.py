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
        return read_plan(self._s3, self._bucket, self.run, Plan)

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
        return self.output_of(plan.model, self._step_that_makes(plan, name), name)

    def output_of(self, model: str, step: str, name: str) -> str:
        """The address of an output of a step of a model, or, with model "", of the run.

        Raises:
            StepError: the step has not finished, or has no such output.
        """
        key, item = self._job(model, step)
        address: str | None = item.get("outputs", {}).get("M", {}).get(name, {}).get("S")
        if not address:
            status = item.get("status", {}).get("S", "missing")
            whose = f"step {step} of {model}" if model else f"step {step}"
            raise StepError(f"{key}: outputs.{name} is missing (status {status}); {whose} has to end")
        return address

    def inputs_of(self, model: str, step: str) -> dict[str, str]:
        """The addresses that a step read, by the names of its inputs; empty if it was not submitted."""
        _, item = self._job(model, step)
        return {name: value["S"] for name, value in item.get("inputs", {}).get("M", {}).items()}

    def read_by(self, plan: ModelPlan, output: str, name: str) -> str | None:
        """The address that the step which makes an output read as its input `name`; None if it had no such input."""
        return self.inputs_of(plan.model, self._step_that_makes(plan, output)).get(name)

    def _step_that_makes(self, plan: ModelPlan, output: str) -> str:
        try:
            return output_step(plan, output).name
        except KeyError as error:
            raise StepError(f"{error.args[0]}; add it to `outputs` in architecture {plan.architecture}") from None

    def _job(self, model: str, step: str) -> tuple[str, dict[str, Any]]:
        """Key and item of a job in the jobs table; the item is empty if there is none."""
        from boxcar.jobs.names import job_id

        key = f"job#{job_id(self._stack, self.run, model, step)}"
        answer = self._dynamodb.get_item(TableName=self._jobs_table, Key={"pk": {"S": key}}, ConsistentRead=True)
        return key, answer.get("Item", {})
