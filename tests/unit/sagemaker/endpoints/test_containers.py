"""Endpoints whose instances are real model servers."""

import os
import signal
import subprocess

import pytest
from botocore.exceptions import ClientError

from local.client import wait_for
from tests.unit.sagemaker.conftest import archive
from tests.unit.sagemaker.endpoints.conftest import Endpoints, container_model, variant

SERVE = """
import os, pathlib, time

def model_fn(model_dir):
    return float(pathlib.Path(model_dir, "factor").read_text())

def input_fn(body, content_type):
    return [float(cell) for cell in body.split(",")]

def predict_fn(row, model):
    if row[0] < 0:
        raise ValueError("negative")
    return f"{sum(row) * model} {os.getpid()}"

def output_fn(prediction, accept):
    return prediction, "text/plain"
"""


@pytest.fixture
def model(real, put, folder):
    def create(name: str, factor: str = "2", serve: str = SERVE) -> str:
        data = put(f"{folder}/{name}/model.tar.gz", archive(factor=factor))
        return container_model(real, name, data, put(f"{folder}/{name}/code.tar.gz", archive(serve__py=serve)))

    return create


def refused(endpoints: Endpoints, name: str, body: str = "1") -> tuple[str, int, dict]:
    with pytest.raises(ClientError) as refusal:
        endpoints.ask(name, body)
    answer = refusal.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer


def test_an_endpoint_answers_from_its_archive_and_is_gone_when_deleted(real, model):
    real.config(model("doubles"))
    detail = real.create("live", "doubles")
    assert detail["EndpointConfigName"] == "doubles"
    assert detail["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    answer = real.runtime.invoke_endpoint(EndpointName="live", Body=b"1,2", ContentType="text/csv")
    assert answer["Body"].read().split()[0] == b"6.0"
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("text/plain", "AllTraffic")
    pid = int(real.ask("live", "1").split()[1])
    real.api.DeleteEndpoint(EndpointName="live")
    real.reached("live", "DELETING")
    assert refused(real, "live")[:2] == ("ValidationError", 400)
    wait_for(lambda: not _alive(pid))
    wait_for(lambda: not real.api.ListEndpoints()["Endpoints"])


def test_a_model_that_raises_is_a_model_error_with_what_it_said(real, model):
    real.config(model("raises"))
    real.create("live", "raises")
    code, status, answer = refused(real, "live", "-1")
    assert (code, status) == ("ModelError", 424)
    assert (answer["OriginalStatusCode"], answer["OriginalMessage"]) == (500, "negative")
    group = "/aws/sagemaker/Endpoints/live"
    assert answer["LogStreamArn"] == f"arn:aws:logs:eu-west-1:123456789012:log-group:{group}"
    assert answer["Error"]["Message"].startswith(
        'Received server error (500) from primary with message "negative". See'
    )


def test_a_model_that_cannot_load_fails_the_endpoint_which_may_then_be_updated(real, model):
    real.config(model("broken", serve="import nothing_like_this"))
    real.config(model("sound"))
    why = real.create("live", "broken", "FAILED")["FailureReason"]
    assert why.startswith("The primary container for production variant AllTraffic did not pass the ping health check.")
    assert refused(real, "live")[0] == "ValidationError"
    real.api.UpdateEndpoint(EndpointName="live", EndpointConfigName="sound")
    assert "FailureReason" not in real.reached("live", "IN_SERVICE")
    assert real.ask("live", "1").startswith("2.0 ")


def test_an_instance_that_dies_is_replaced(real, model):
    real.config(model("mortal"))
    real.create("live", "mortal")
    pid = int(real.ask("live", "1").split()[1])
    os.kill(pid, signal.SIGKILL)

    def again() -> str | None:
        try:
            return real.ask("live", "1")
        except ClientError as error:
            assert error.response["Error"]["Code"] in ("ModelError", "ServiceUnavailable")
            return None

    assert int(wait_for(again).split()[1]) != pid


def test_what_was_asked_before_an_update_is_answered_by_whom_it_was_asked(real, model, tmp_path):
    gate = tmp_path / "gate"
    waits = f"    while row[0] == 700 and not os.path.exists({str(gate)!r}): time.sleep(0.01)\n    return"
    real.config(model("old", serve=SERVE.replace('    return f"', waits + ' f"')))
    real.config(model("new", factor="3"))
    real.create("live", "old")
    slow = real.service._hosted._pool.submit(real.ask, "live", "700")
    wait_for(lambda: real.service._hosted._lives.find("live").blue.variants[0].candidates()[0].outstanding)
    real.api.UpdateEndpoint(EndpointName="live", EndpointConfigName="new")
    real.reached("live", "IN_SERVICE")
    assert real.ask("live", "1").startswith("3.0 ")
    assert not slow.done()
    gate.touch()
    assert slow.result().startswith("1400.0 ")


def test_endpoints_come_back_after_a_restart(real, model):
    real.config("two", variant(model("kept"), count=2))
    real.create("live", "two")
    before = {real.ask("live", "1").split()[1] for _ in range(20)}
    assert len(before) == 2
    real.service.close()
    again = Endpoints(real.cloud)
    again.service.warm()
    try:
        wait_for(lambda: again.describe("live")["ProductionVariants"][0]["CurrentInstanceCount"] == 2)
        assert not {again.ask("live", "1").split()[1] for _ in range(20)} & before
        assert again.describe("live")["EndpointStatus"] == "InService"
    finally:
        again.service.close()


def test_an_update_that_a_stop_interrupts_is_rolled_back(real, model):
    real.config(model("old"))
    real.config(model("new", factor="3"))
    real.create("live", "old")
    routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    baking = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": 600}}
    real.api.UpdateEndpoint(EndpointName="live", EndpointConfigName="new", DeploymentConfig=baking)
    wait_for(lambda: real.ask("live", "1").startswith("3.0 "))
    real.service.close()
    again = Endpoints(real.cloud)
    again.service.warm()
    try:
        assert again.reached("live", "IN_SERVICE")["FailureReason"].startswith("The update was interrupted")
        assert again.describe("live")["EndpointConfigName"] == "old"
        assert again.ask("live", "1").startswith("2.0 ")
    finally:
        again.service.close()


def _alive(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")
