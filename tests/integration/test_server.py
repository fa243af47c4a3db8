"""The process itself: start, stop, a taken port, a killed process, what survives."""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, HTTPClientError

from local import server
from local.client import CloudClient, wait_for
from tests.ports import free_port


def test_state_survives_down_and_up_and_not_reset(tmp_path: Path) -> None:
    state, port = tmp_path / "state", free_port()
    cloud = CloudClient(server.up(port, state, detach=True))
    cloud.client("s3").create_bucket(Bucket="kept")
    cloud.client("s3").put_object(Bucket="kept", Key="a", Body=b"1")
    cloud.client("dynamodb").create_table(
        TableName="kept",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    assert server.up(port, state, detach=True).pid == server.status(state).pid  # a second up changes nothing
    assert server.down(state)
    assert server.status(state) is None
    assert not server.down(state)

    try:
        again = CloudClient(server.up(port, state, detach=True))
        assert again.client("s3").get_object(Bucket="kept", Key="a")["Body"].read() == b"1"
        assert again.client("dynamodb").list_tables()["TableNames"] == ["kept"]
    finally:
        server.reset(state)
    assert not state.exists()


def test_a_killed_process_is_noticed(tmp_path: Path) -> None:
    state, port = tmp_path / "state", free_port()
    running = server.up(port, state, detach=True)
    os.kill(running.pid, signal.SIGKILL)
    os.waitpid(running.pid, 0)
    assert (state / "cloud.json").exists()
    assert server.status(state) is None
    assert not (state / "cloud.json").exists()
    try:
        assert server.up(port, state, detach=True).pid != running.pid
    finally:
        server.down(state)


STUCK = """
import asyncio, threading, time
from pathlib import Path
from local import server
from local.cloud import EmbeddedCloud

def stuck(*_): time.sleep(1000)

{stuck}
server.up({port}, Path({state!r}))
"""
A_CALL_IS_ANSWERED = """
serve = EmbeddedCloud.serve
async def and_a_call(self, ready, stop):
    asyncio.get_running_loop().run_in_executor(None, stuck)
    await serve(self, ready, stop)
EmbeddedCloud.serve = and_a_call
"""


A_CHILD_IS_STARTED = """
import os
serve = EmbeddedCloud.serve
async def and_a_child(self, ready, stop):
    child = os.fork()  # as subprocess does, before it runs the other program
    stuck() if not child else Path({child!r}).write_text(str(child))
    await serve(self, ready, stop)
EmbeddedCloud.serve = and_a_child
"""


def started_stuck(stuck: str, state: Path) -> subprocess.Popen[bytes]:
    code = STUCK.format(stuck=stuck, port=free_port(), state=str(state))
    process = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    wait_for(lambda: process.poll() is None and server.status(state))
    return process


def test_a_killed_cloud_is_noticed_though_a_child_it_was_starting_lives(tmp_path: Path) -> None:
    child = tmp_path / "child"
    process = started_stuck(A_CHILD_IS_STARTED.format(child=str(child)), tmp_path)
    try:
        process.kill()
        process.wait()
        assert server.status(tmp_path) is None
    finally:
        os.kill(int(child.read_text()), signal.SIGKILL)


def test_a_call_that_is_still_answered_does_not_keep_the_cloud(tmp_path: Path) -> None:
    started_stuck(A_CALL_IS_ANSWERED, tmp_path)
    assert server.down(tmp_path)
    assert "stopped, state kept" in (tmp_path / "server.log").read_text()


SLOW = """
import pathlib, time
def handler(event, context):
    pathlib.Path(event["begun"]).touch()
    time.sleep(600)
"""
ANYONE = {"Effect": "Allow", "Principal": {"Service": ["lambda.amazonaws.com", "states.amazonaws.com"]}}


def test_a_cloud_ends_while_a_function_works_and_that_is_no_failure_of_the_step(tmp_path: Path) -> None:
    state, port, begun = tmp_path / "state", free_port(), [tmp_path / "called", tmp_path / "stepped"]
    cloud = CloudClient(server.up(port, state, detach=True))
    iam, functions, machines = cloud.client("iam"), cloud.client("lambda"), cloud.client("stepfunctions")
    trust = json.dumps({"Version": "2012-10-17", "Statement": [{**ANYONE, "Action": "sts:AssumeRole"}]})
    role = iam.create_role(RoleName="any", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    every = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="any", PolicyName="any", PolicyDocument=json.dumps(every))
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", SLOW)
    functions.create_function(
        FunctionName="slow", Runtime="python3.13", Role=role, Handler="app.handler", Timeout=600,
        Code={"ZipFile": code.getvalue()},
    )  # fmt: skip
    step = {
        "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True,
        "Arguments": {"FunctionName": "slow", "Payload": {"begun": str(begun[1])}},
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
    }  # fmt: skip
    definition = {
        "QueryLanguage": "JSONata",
        "StartAt": "Slow",
        "States": {"Slow": step, "Caught": {"Type": "Succeed"}},
    }
    machine = machines.create_state_machine(name="slow", definition=json.dumps(definition), roleArn=role)
    execution = machines.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]

    def call() -> None:
        with contextlib.suppress(ClientError, ConnectionError, HTTPClientError):
            functions.invoke(FunctionName="slow", Payload=json.dumps({"begun": str(begun[0])}))

    calling = threading.Thread(target=call)
    calling.start()
    try:
        wait_for(lambda: all(file.exists() for file in begun), why="both calls have begun")
        assert server.down(state)
        assert "stopped, state kept" in (state / "server.log").read_text()
        again = CloudClient(server.up(port, state, detach=True)).client("stepfunctions")
        ended = again.describe_execution(executionArn=execution)
        assert (ended["status"], ended["cause"]) == ("FAILED", "Step Functions was shut down while the execution ran.")
    finally:
        server.down(state)
        calling.join()


def test_a_cloud_that_does_not_end_is_aborted_and_its_log_says_where_it_stood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started_stuck("EmbeddedCloud.close = stuck", tmp_path)
    monkeypatch.setattr(server, "STOP_SECONDS", 1.0)
    assert server.down(tmp_path)
    log = (tmp_path / "server.log").read_text()
    assert "in stuck" in log and "stopped, state kept" not in log


def test_a_pid_that_belongs_to_another_program_is_not_the_cloud(tmp_path: Path) -> None:
    (tmp_path / "cloud.json").write_text(
        f'{{"pid": {os.getpid()}, "port": 1, "endpoint": "http://127.0.0.1:1", "state": "x"}}'
    )
    assert server.status(tmp_path) is None


def test_a_taken_port_says_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(server.ServerError, match=rf"port {port} is taken .*give another --port"):
            server.up(port, tmp_path / "state", detach=True)


def test_reset_leaves_other_folders_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(server.ServerError, match="not the state of a cloud"):
        server.reset(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_nothing_is_left_in_the_temporary_folder(cloud: CloudClient) -> None:
    began = time.time()
    wait_for(lambda: cloud.client("sqs").list_queues() is not None)
    left = [path for path in Path("/tmp").glob("ministack-lambda-*") if path.stat().st_mtime > began]
    assert left == []
