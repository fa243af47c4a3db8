from dataclasses import replace

import pytest

from boxcar.alarms.links import Links
from boxcar.jobs.documents import JobSummary, document, iso_time, logs_link, shortened, summary
from boxcar.jobs.items import to_item
from boxcar.settings import Settings
from tests.unit.jobs.test_explain import LARGE, NOON, launched, make_job

SETTINGS = Settings(stack="boxcar", region="eu-west-1", console_url="https://console.example.com")
ARN = "arn:aws:sagemaker:eu-west-1:123456789012:training-job/boxcar-ann-depth-6-0123456789-1"


def test_times_are_iso_8601_in_utc() -> None:
    assert iso_time(NOON + 0.1234) == "2026-01-07T12:00:00.123Z"
    assert iso_time(None) is None


def test_a_document_is_a_summary_and_more() -> None:
    job = launched(sweep="depths", tags={"a": "b"}).acknowledged(ARN, NOON).progressed(ARN, NOON - 100, NOON)
    told = document(job, SETTINGS).model_dump()
    of_item = summary(to_item(job)).model_dump()
    assert {name: told[name] for name in of_item} == of_item
    assert told["attempts"][0]["arn"] == ARN
    assert told["logs"] == {"group": "/aws/sagemaker/TrainingJobs", "prefix": f"{job.name}/"}
    assert told["document"] == {}


def test_a_summary_fits_its_type() -> None:
    """It is built without a check, from what Boxcar itself wrote."""
    for job in (make_job(), launched(), launched().failed("ClientError", "no" * 200, NOON, 1e6)):
        told = summary(to_item(job))
        assert JobSummary.model_validate(told.model_dump()) == told


def test_a_job_that_waits_shows_what_it_waits_for() -> None:
    job = make_job(pools=("spot/ml.m5.large", LARGE), pool_offset=1)
    told = document(job, SETTINGS)
    assert told.instance_type == "ml.m5.large"
    assert told.logs is None
    assert (told.links.console, told.links.logs) == ("", "")


def test_a_kind_of_an_older_release_has_no_logs() -> None:
    assert document(replace(launched(), kind="ancient"), SETTINGS).logs is None


@pytest.mark.parametrize(
    ("arn", "page"),
    [
        (ARN, "sagemaker/home?region=eu-west-1#/jobs/boxcar-ann-depth-6-0123456789-1"),
        ("arn:aws:sagemaker:us-east-1:1:processing-job/x-1", "sagemaker/home?region=us-east-1#/processing-jobs/x-1"),
        ("arn:aws:batch:us-east-1:1:job/0a-1b", "batch/home?region=us-east-1#jobs/detail/0a-1b"),
        ("0a1b2c3d", ""),
        ("arn:aws:other:us-east-1:1:thing/x", ""),
        ("", ""),
    ],
)
def test_links_into_the_console(arn: str, page: str) -> None:
    assert Links.of(SETTINGS).job(arn) == (f"https://console.example.com/{page}" if page else "")
    assert Links.of(replace(SETTINGS, console_url="")).job(arn) == ""


def test_a_link_to_the_logs() -> None:
    logs = document(launched(), SETTINGS).logs
    link = logs_link(logs, SETTINGS)
    assert link.startswith("https://console.example.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/")
    assert "$252Faws$252Fsagemaker$252FTrainingJobs$3FlogStreamNameFilter$3D" in link


def test_a_long_reason_is_cut() -> None:
    assert shortened("x" * 200) == "x" * 200
    assert shortened("x" * 201) == "x" * 199 + "…"
