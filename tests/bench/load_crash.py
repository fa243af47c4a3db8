"""A load of predictions, killed at every call to AWS and started again: kills, and tables that differ."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import boto3
from moto import mock_aws

from tests.unit.inference.crashes import crash_everywhere
from tests.unit.redshift.conftest import TRUST


def main() -> dict[str, Any]:
    """Kill it everywhere; print each call after which something differed."""
    os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    with mock_aws(), tempfile.TemporaryDirectory() as folder:
        boto3.client("s3").create_bucket(Bucket="data")
        boto3.client("iam").create_role(RoleName="warehouse", AssumeRolePolicyDocument=json.dumps(TRUST))
        found = crash_everywhere(Path(folder), rows=2000)
    for difference in found.differences:
        print(difference)
    print(f"{found.kills} kills of a load of 2,000 rows; {len(found.differences)} left other tables")
    return {"kills": found.kills, "differences": len(found.differences)}
