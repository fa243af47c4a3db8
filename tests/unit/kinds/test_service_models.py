"""Functions ask for what Lambda's own boto3 may not know yet."""

import gzip
import json
from pathlib import Path

import botocore
import pytest

from boxcar import aws

MODEL = "redshift-data/2019-12-20/service-2.json"


@pytest.fixture(autouse=True)
def fresh_clients():
    for made in (aws.client, aws.prompt_client):
        made.cache_clear()
    yield
    for made in (aws.client, aws.prompt_client):
        made.cache_clear()


def members(client) -> set[str]:
    return set(client.meta.service_model.operation_model("BatchExecuteStatement").input_shape.members)


@pytest.mark.parametrize("make", [aws.launching_client, aws.prompt_client, aws.client])
def test_an_older_boto3_binds_the_parameters_of_a_batch(tmp_path, monkeypatch, make):
    installed = Path(botocore.__file__).parent / "data" / f"{MODEL}.gz"
    older = json.loads(gzip.decompress(installed.read_bytes()))
    del older["shapes"]["BatchExecuteStatementInput"]["members"]["Parameters"]
    (tmp_path / MODEL).parent.mkdir(parents=True)
    (tmp_path / MODEL).write_text(json.dumps(older))
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))  # before what is installed
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = make("redshift-data")
    assert {"Sqls", "Parameters", "ClientToken", "WithEvent", "StatementName"} <= members(client)
    assert client.meta.endpoint_url == "https://redshift-data.us-east-1.amazonaws.com"


def test_every_operation_of_the_installed_botocore_is_there():
    installed = json.loads(gzip.decompress((Path(botocore.__file__).parent / "data" / f"{MODEL}.gz").read_bytes()))
    ours = json.loads((aws.MODELS / MODEL).read_text())
    assert ours["operations"].keys() == installed["operations"].keys()
