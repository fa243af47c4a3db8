"""The job files of docs/kinds.md can be submitted as they are written there."""

import re
from pathlib import Path

import pytest
import yaml

from boxcar.jobs.submit import JobRequest
from boxcar.kinds import find, names
from boxcar.settings import Settings
from tests.unit.jobs.conftest import CODE

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "kinds.md").read_text()
FILES = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file["step"]["kind"])
def test_a_job_file_of_the_page(file):
    assert isinstance(file.pop("code", ""), str)
    request = JobRequest.model_validate({**file, "owner": "ann", "step": {**file["step"], "code": CODE}})
    find(request.step.kind).check(request.step, Settings(stack="boxcar"))


def test_the_page_names_every_kind_and_option():
    assert {file["step"]["kind"] for file in FILES} == {"batch", "glue", "statement"}
    for name in names():
        assert f"`{name}`" in PAGE
    for kind in ("batch", "glue"):
        module = __import__(f"boxcar.kinds.{kind}", fromlist=["OPTIONS"])
        for option in module.OPTIONS:
            assert f"`{option}`" in PAGE, option
