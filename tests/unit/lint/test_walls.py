"""Code that goes through a wall, and code that keeps to its room."""

import ast

import pytest

from lint import walls

HANDLER, DOMAIN, CLOUD = "functions/work/app.py", "layers/shared/python/boxcar/jobs.py", "local/cloud.py"
MODEL, COMMAND = "models/trees/train.py", "cli/main.py"


def found(file, code):
    return [f"{line}: {message}" for line, message in walls.faults(file, ast.parse(code))]


@pytest.mark.parametrize(
    ("file", "code", "said"),
    [
        (HANDLER, "import local.clock", "1: imports local.clock: handlers import only boxcar"),
        (HANDLER, "def handler(e, c):\n    from cli import main", "2: imports cli"),
        (HANDLER, "import boto3", "1: imports boto3: clients are made in layers/shared/python/boxcar/aws.py"),
        (DOMAIN, "from functions.work import app", "1: imports functions.work"),
        (DOMAIN, "def f():\n    import boto3", "2: imports boto3"),
        (CLOUD, "from boxcar import plans", "1: imports boxcar"),
        (CLOUD, "import functions", "1: imports functions"),
        (MODEL, "from boxcar.steps import Step", "1: imports boxcar.steps"),
        (COMMAND, "from functions.plan_run import app", "1: imports functions.plan_run"),
        (DOMAIN, "from boxcar.aws import client\ns3 = client('s3')", "2: client() runs at import"),
        (DOMAIN, "TEXT = open('a').read()", "1: open() runs at import"),
        (CLOUD, "class A:\n    x = Path('a').read_text()", "2: read_text() runs at import"),
        (CLOUD, "def f(x=client('s3')): ...", "1: client() runs at import"),
        (HANDLER, "if os.environ.get('AWS_SAM_LOCAL'): x = 1", "1: branches on 'AWS_SAM_LOCAL'"),
        (DOMAIN, "def f(is_local):\n    return 1 if is_local else 2", "2: branches on 'is_local'"),
        (MODEL, "while 'localhost' in url: ...", "1: branches on 'localhost'"),
    ],
)
def test_through_a_wall(file, code, said):
    assert [message for message in found(file, code) if message.startswith(said)], found(file, code)


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (HANDLER, "from boxcar.aws import client\nfrom aws_lambda_powertools import Logger\nlogger = Logger()"),
        (HANDLER, "def handler(e, c):\n    return client('s3').get_object()"),
        ("layers/shared/python/boxcar/aws.py", "def client(name):\n    import boto3\n    return boto3.client(name)"),
        (DOMAIN, "from botocore.exceptions import ClientError"),
        (CLOUD, "import boto3\nfrom local.clock import Clock"),
        (CLOUD, "def f():\n    return 1 if is_local else 2"),
        (COMMAND, "from boxcar import plans\nfrom local import cloud"),
        (MODEL, "import pandas\nfrom features import read\nif __name__ == '__main__':\n    open('a')"),
        (DOMAIN, "if locale == 'de': x = 1"),
    ],
)
def test_inside_the_room(file, code):
    assert found(file, code) == []


def test_check_reads_every_room_and_says_when_a_file_is_not_python(tmp_path):
    for file, code in ((HANDLER, "import cli"), (CLOUD, "def ("), (MODEL, "import json")):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text(code)
    assert sorted((finding.file, finding.place) for finding in walls.check(tmp_path)) == [(HANDLER, "1"), (CLOUD, "1")]
