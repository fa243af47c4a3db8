"""A cloud of moto's S3 and IAM around the warehouse, and a caller that waits for its statements."""

import json
import threading
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from local.redshift.service import RedshiftData

ROLE = "arn:aws:iam::123456789012:role/warehouse"
CALLER = "arn:aws:sts::123456789012:assumed-role/launcher/session-1"
WORKGROUP = {"WorkgroupName": "boxcar", "Database": "dev"}
TRUST = {
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "redshift.amazonaws.com"}, "Action": "sts:AssumeRole"}]
}


class SteppedClock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        self.now += 0.001
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class FakeCloud:
    region, account, endpoint = "eu-west-1", "123456789012", "http://127.0.0.1:1"

    def __init__(self, state: Path) -> None:
        self.state, self.clock = state, SteppedClock()
        self.events: list[dict[str, Any]] = []
        self.denied: set[str] = set()  # S3 operations that IAM refuses
        self.roles: list[str | None] = []
        self.bus_down = 0  # how many events are refused before the bus is up

    def client(self, service: str, role_arn: str | None = None, session: str = "boxcar") -> Any:
        client = boto3.client(service, region_name="us-east-1")
        if service == "s3":
            self.roles.append(role_arn)

            def refuse(params: dict, model: Any, **_: Any) -> None:
                if model.name in self.denied:
                    error = {
                        "Code": "AccessDenied",
                        "Message": f"{role_arn} is not authorized to perform: s3:{model.name}",
                    }
                    raise ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": 403}}, model.name)

            client.meta.events.register("before-call.s3", refuse)
        return client

    def emit(self, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        if self.bus_down:
            self.bus_down -= 1
            raise ConnectionError("the bus is not up yet")
        self.events.append({"source": source, "detail-type": detail_type, "detail": detail, "resources": resources})


class Caller:
    """Calls the service and waits for statements."""

    def __init__(self, cloud: FakeCloud, service: RedshiftData) -> None:
        self.cloud, self.service = cloud, service

    def __call__(self, action: str, caller: str = CALLER, **request: Any) -> dict[str, Any]:
        return self.service.handle(action, request, caller)

    def start(self, sql: str, **more: Any) -> str:
        target = {} if "SessionId" in more else WORKGROUP
        return self("ExecuteStatement", **(target | {"Sql": sql} | more))["Id"]

    def wait(self, identifier: str) -> dict[str, Any]:
        done = self("DescribeStatement", Id=identifier, WaitTimeSeconds=20)
        assert done["Status"] in {"FINISHED", "FAILED", "ABORTED"}, done
        return done

    def run(self, sql: str, parameters: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        if parameters:
            more["Parameters"] = [{"name": name, "value": value} for name, value in parameters.items()]
        return self.wait(self.start(sql, **more))

    def ok(self, sql: str, parameters: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        done = self.run(sql, parameters, **more)
        assert done["Status"] == "FINISHED", done
        return done

    def error(self, sql: str, **more: Any) -> str:
        done = self.run(sql, **more)
        assert done["Status"] == "FAILED", done
        return done["Error"]

    def batch(self, *sqls: str, **more: Any) -> dict[str, Any]:
        target = {} if "SessionId" in more else WORKGROUP
        return self.wait(self("BatchExecuteStatement", **(target | {"Sqls": list(sqls)} | more))["Id"])

    def rows(self, sql: str, parameters: dict[str, str] | None = None, **more: Any) -> list[tuple]:
        return self.result(self.ok(sql, parameters, **more)["Id"])

    def result(self, identifier: str) -> list[tuple]:
        rows, token = [], None
        while True:
            page = self("GetStatementResult", Id=identifier, **({"NextToken": token} if token else {}))
            for record in page["Records"]:
                rows.append(tuple(None if "isNull" in field else next(iter(field.values())) for field in record))
            if not (token := page.get("NextToken")):
                return rows


@pytest.fixture
def cloud(tmp_path):
    return FakeCloud(tmp_path)


@pytest.fixture
def db(cloud):
    service = RedshiftData(cloud, default_role=ROLE)
    caller = Caller(cloud, service)
    yield caller
    caller.service.close()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("redshift-")] == []


@pytest.fixture
def s3(monkeypatch):
    """S3 with a bucket and IAM with the warehouse's role, for tests that unload or copy."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="data-bucket")
        boto3.client("iam").create_role(RoleName="warehouse", AssumeRolePolicyDocument=json.dumps(TRUST))
        yield s3


@pytest.fixture(scope="module")
def module_db(tmp_path_factory):
    """One warehouse for tests that change nothing after their setup."""
    cloud = FakeCloud(tmp_path_factory.mktemp("cloud"))
    service = RedshiftData(cloud)
    yield Caller(cloud, service)
    service.close()
