import json
import re
from pathlib import Path

import pytest

import boxcar.errors
from boxcar.alarms.advice import ADVICE, UNKNOWN, advice_for, canonical_name
from boxcar.alarms.causes import read_cause
from boxcar.alarms.links import Links
from boxcar.alarms.messages import UnknownMessageError, read_message
from boxcar.alarms.reviews import without_tokens
from boxcar.jobs.failures import Failure
from boxcar.mails import TEXT_BYTES, cut, subject

LINKS = Links("https://console.test", "eu-west-1", "boxcar-data", "boxcar", "123456789012")
SINCE = "2026-01-05T03:00:00+00:00"
RUN = {"kind": "run_failed", "machine": "training", "run": "packaging-1", "family": "packaging", "cause": "because"}
MODEL = {**RUN, "kind": "model_failed", "model": "mailer"}
EVENT = {
    "version": "0",
    "id": "315c1398-40ff-a850-213b-158f73e60175",
    "detail-type": "Step Functions Execution Status Change",
    "source": "aws.states",
    "account": "123456789012",
    "time": "2026-01-05T03:06:00Z",
    "region": "eu-west-1",
    "resources": ["arn:aws:states:eu-west-1:123456789012:execution:boxcar-training:packaging-1"],
    "detail": {
        "executionArn": "arn:aws:states:eu-west-1:123456789012:execution:boxcar-training:packaging-1",
        "stateMachineArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:boxcar-training",
        "name": "packaging-1",
        "status": "FAILED",
        "startDate": 1767582000000,
        "stopDate": 1767582360000,
        "input": "{}",
        "output": None,
        "redriveCount": 0,
        "error": "NoRows",
        "cause": "Step unload failed after 1 attempt: NoRows: 0 rows (job boxcar-run-unload-0123456789)",
    },
}


def event(**detail):
    return {**EVENT, "detail": {**EVENT["detail"], **detail}}


def mail(message):
    found = read_message(message, LINKS, SINCE)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("error", "cause", "audience"),
    [
        ("TriggerError", "x", "science"),
        ("FamilyError", "x", "science"),
        ("StepError", "x", "science"),
        ("NoRows", "x", "science"),
        ("InputError", "x", "science"),
        ("AlgorithmError", "x", "science"),
        ("ClientError", "s3://x does not exist", "science"),
        ("TimeLimitExceeded", "x", "science"),
        ("EvaluationError", "x", "science"),
        ("CapacityTimeout", "x", "engineering"),
        ("AccessDenied", "x", "engineering"),
        ("Throttled", "x", "engineering"),
        ("InternalServerError", "x", "engineering"),
        ("States.Runtime", "x", "engineering"),
        ("States.Timeout", "x", "engineering"),
        ("States.NoChoiceMatched", "x", "engineering"),
        ("Lambda.TooManyRequestsException", "x", "engineering"),
        ("Lambda.Unknown", "x", "engineering"),
        ("KeyError", "'x'", "engineering"),
        ("", "", "engineering"),
        # botocore's ClientError is not SageMaker's
        (
            "ClientError",
            "An error occurred (AccessDeniedException) when calling the CreateTrainingJob operation: no",
            "engineering",
        ),
        (
            "ClientError",
            "An error occurred (ValidationException) when calling the GetItem operation: no",
            "engineering",
        ),
    ],
)
def test_an_error_goes_to_those_who_can_mend_it(error, cause, audience):
    for message in (RUN, MODEL):
        assert mail({**message, "error": error, "cause": cause}).audiences == (audience,)


def test_every_error_that_boxcar_can_raise_has_its_advice():
    own = {
        name
        for name, thing in vars(boxcar.errors).items()
        if isinstance(thing, type)
        and issubclass(thing, boxcar.errors.BoxcarError)
        and not issubclass(thing, boxcar.errors.Refused)  # told to the caller, never an alarm
    }
    assert own - {"BoxcarError"} <= set(ADVICE)
    assert {failure.value for failure in Failure} <= set(ADVICE)


def test_every_error_that_the_machines_name_has_its_advice():
    root = Path(__file__).parents[3] / "statemachines"
    named = set()
    for machine in root.glob("*.asl.json"):
        text = machine.read_text()
        named |= set(re.findall(r'"[Ee]rror": "([A-Za-z.]+)"', text))
        for listed in re.findall(r'"ErrorEquals": \[([^\]]*)\]', text):
            named |= set(re.findall(r'"([A-Za-z.]+)"', listed))
    assert len(named) > 5
    assert [name for name in named if advice_for(canonical_name(name, "")) is UNKNOWN] == []


@pytest.mark.parametrize(
    ("error", "cause", "name"),
    [
        (
            "ClientError",
            "An error occurred (ThrottlingException) when calling the CreateTrainingJob operation: Rate",
            "Throttled",
        ),
        ("Lambda.AWSLambdaException", "User: x is not authorized to perform: lambda:InvokeFunction", "AccessDenied"),
        ("Lambda.TooManyRequestsException", "Rate Exceeded", "Throttled"),
        ("SageMaker.SageMakerException", "An error occurred (SlowDown) when calling the X operation", "Throttled"),
        ("AlgorithmError", "not authorized to perform anything, says the script", "AlgorithmError"),
        ("Runtime.ImportModuleError", "No module named 'pydantic'", "ImportError"),
        ("Sandbox.Timedout", "RequestId: x Error: Task timed out after 60.00 seconds", "Lambda.Other"),
        ("Runtime.ExitError", "signal: killed", "Lambda.Other"),
        ("Zork", "x", "Zork"),
    ],
)
def test_many_names_of_one_thing_become_one(error, cause, name):
    assert canonical_name(error, cause) == name


def test_a_mail_says_what_where_since_when_what_was_done_and_what_to_do():
    cause = "Step train of model mailer failed after 2 attempts: AlgorithmError: ValueError: bad (job boxcar-mailer-train-0123456789)"
    found = mail({**MODEL, "error": "AlgorithmError", "cause": cause})
    assert found.subject == "[Boxcar alarm] packaging/mailer failed in step train: AlgorithmError"
    for title in ("What happened", "Where", "Since", "What Boxcar did", "What to do"):
        assert title in found.text
    for fact in (
        "packaging-1",
        "boxcar-mailer-train-0123456789",
        "ValueError: bad",
        SINCE,
        "approved version of mailer stays",
    ):
        assert fact in " ".join(found.text.split()), fact
    assert (
        "https://console.test/states/home?region=eu-west-1#/v2/executions/details/arn:aws:states:eu-west-1:123456789012:execution:boxcar-training:packaging-1"
        in found.text
    )


def test_without_a_console_there_are_no_links_but_everything_else():
    found = read_message({**RUN, "error": "NoRows"}, Links("", "eu-west-1", "b", "boxcar", ""), SINCE)
    assert "http" not in found.text and "packaging-1" in found.text


def test_a_lambda_failure_is_unwrapped():
    failure = {
        "errorMessage": "families/x.yaml: source.query: is not a SELECT",
        "errorType": "FamilyError",
        "stackTrace": ["..."],
    }
    found = mail({**RUN, "error": "FamilyError", "cause": json.dumps(failure)})
    assert "is not a SELECT" in found.text and "stackTrace" not in found.text
    unnamed = mail({**RUN, "error": "States.TaskFailed", "cause": json.dumps(failure)})
    assert unnamed.audiences == ("science",), "the cause knows the name"


@pytest.mark.parametrize(
    "cause", [None, "", "{", "[]", "null", 7, {"a": 1}, '{"errorMessage": null}', '{"errorMessage": {"x": 1}}']
)
def test_a_strange_cause_is_shown_as_it_is(cause):
    assert "NoRows" in mail({**RUN, "error": "NoRows", "cause": cause}).text


def test_a_long_cause_keeps_its_beginning_and_its_end():
    found = read_cause("first " + "x" * 100_000 + " last")
    assert found.text.startswith("first") and found.text.endswith("last") and len(found.text) < 7000


def test_a_run_has_one_alarm_whoever_tells_of_it():
    assert mail({**RUN, "error": "NoRows"}).id == mail(EVENT).id == "run:packaging-1"
    assert mail(EVENT).audiences == ("science",)


def test_a_redriven_run_that_fails_again_is_news():
    assert mail(event(redriveCount=1)).id != mail(EVENT).id


def test_what_was_told_model_by_model_is_not_told_again():
    assert read_message(event(error="AllModelsFailed", cause="no model"), LINKS, SINCE) is None
    assert read_message(event(error="NoFigures", cause="no cell"), LINKS, SINCE) is None


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        ("TIMED_OUT", None, "timed out: States.Timeout"),
        ("ABORTED", None, "was stopped: Aborted"),
        ("FAILED", None, "failed: States.TaskFailed"),
    ],
)
def test_an_execution_that_ended_without_an_error_goes_to_engineering(status, error, words):
    found = mail(event(status=status, error=error, cause=None))
    assert found.subject.endswith(f"training run packaging-1 {words}")
    assert found.audiences == ("engineering",)


def test_a_rejection_goes_to_science_with_its_reasons():
    found = mail({**MODEL, "kind": "model_rejected", "version": "1.0.4", "reasons": ["roc_auc fell", "labels shifted"]})
    assert found.audiences == ("science",)
    assert "1.0.4" in found.subject and "roc_auc fell" in found.subject
    assert "labels shifted" in found.text and "approved version stays" in " ".join(found.text.split())
    assert "prefix=reports/packaging-1/index.html" in found.text
    assert found.attributes["severity"] == "warning"


def test_a_review_goes_to_science_and_says_who_must_decide():
    found = mail(
        {
            **MODEL,
            "kind": "model_review",
            "version": "1.0.4",
            "owner": "packaging-science",
            "reasons": ["price drifted"],
        }
    )
    words = " ".join(found.text.split())
    assert found.audiences == ("science",) and found.attributes["severity"] == "warning"
    assert "1.0.4 needs a decision: price drifted" in found.subject
    assert "waits for a decision of packaging-science" in words and "- price drifted" in found.text
    assert "approved version stays in place until somebody decides" in words
    assert found.actions == (), "without a link there is nothing to press"
    asked = mail(
        {**MODEL, "kind": "model_review", "version": "1.0.4", "reasons": ["price drifted"], "number": 2, "until": 1.8e9,
         "link": "https://r.test/v1/review?token=abc", "metric": "roc_auc", "score": 0.9, "score_before": 0.91}
    )  # fmt: skip
    assert asked.id.endswith(":2") and "https://r.test/v1/review?token=abc\n" in asked.text
    assert "roc_auc 0.9100 -> 0.9000" in asked.text and "until 2027-01-15" in asked.text
    pressed = {button["action_id"]: button.get("value") for button in asked.actions[1]["elements"]}
    assert pressed == {"approve": "abc", "reject": "abc", "page": None}
    assert "token=abc" not in without_tokens('{"link": "https://r.test/v1/review?token=abc", "x": 1}')
    nobody = mail({**MODEL, "kind": "model_review", "version": "1.0.4", "owner": "", "reasons": []})
    assert "whoever answers for family packaging" in nobody.text


def test_a_report_goes_to_business_and_science_as_a_table():
    models = [
        {"model": "mailer", "version": "1.0.1", "compared_with": "1.0.0", "status": "approved", "metric": "roc_auc",
         "score": 0.9312, "score_before": 0.9288, "label_shift": 0.012, "row_change": 0.048, "reasons": ["fine"]},
        {"model": "bag", "version": "1.0.1", "status": "rejected", "metric": "roc_auc", "score": 0.7, "score_before": 0.9,
         "label_shift": 0.0, "row_change": 0.0, "reasons": ["roc_auc fell"], "decision": "rejected by Ann (by link): no"},
        {"model": "box", "status": "failed", "error": "AlgorithmError"},
    ]  # fmt: skip
    found = mail(
        {"kind": "report", "machine": "training", "run": "r-1", "family": "packaging", "status": "partial",
         "report": "s3://boxcar-data/reports/r-1/index.html", "models": models}
    )  # fmt: skip
    assert found.audiences == ("business", "science")
    assert found.subject == "[Boxcar report] packaging: 1 approved, 1 rejected, 1 failed (r-1)"
    lines = found.text.splitlines()
    assert any(
        re.fullmatch(r"\s+mailer\s+1\.0\.1\s+1\.0\.0\s+approved\s+0\.9288\s+0\.9312\s+0\.012\s+\+4\.8%", line)
        for line in lines
    )
    assert any(re.fullmatch(r"\s+box\s+-\s+-\s+failed\s+-\s+-\s+-\s+-", line) for line in lines)
    assert (
        "bag: rejected by Ann (by link): no\n  bag: roc_auc fell" in found.text and "box: AlgorithmError" in found.text
    )
    assert "s3://boxcar-data/reports/r-1/index.html" in found.text


def test_a_report_of_a_run_without_anything_is_still_a_mail():
    found = mail({"kind": "report", "run": "r-1", "status": "failed"})
    assert "r-1" in found.text and "No model was trained" in found.text


def test_a_benchmark_says_what_to_buy_and_what_to_mind():
    row = {"instance_type": "inf2.xlarge", "backend": "neuronx", "batch_size": 1, "how": "measured", "status": "ok"}
    failed = {**row, "backend": "torch", "how": None, "status": "failed", "meets": False, "usd_per_year": None}
    target = {
        "name": "realtime",
        "words": "16,000 queries/s within 10 ms at P99",
        "rows": [{**row, "meets": True, "instances": 2, "usd_per_year": 13_283.7}, failed],
        "caveats": ["inf2.xlarge with neuronx has too few queries"],
        "failed": ["no C++ compiler"],
    }
    found = mail({"kind": "benchmark_report", "run": "b-1", "family": "search", "machine": "benchmark",
                  "status": "partial", "sentence": "Buy 2.", "report": "s3://b/r", "targets": [target]})  # fmt: skip
    assert found.subject == "[Boxcar report] benchmark search: partial (b-1)" and not found.routine
    for words in ("Buy 2.", "16,000 queries/s", "2       13,284", "Before you buy", "no C++ compiler"):
        assert words in found.text


def test_a_build_of_a_benchmark_is_called_so():
    found = mail({**MODEL, "machine": "benchmark", "family": "search", "model": "torch-c7i-b1-s32"})
    assert "Build torch-c7i-b1-s32 of benchmark search failed" in found.text
    assert "approved" not in found.text


@pytest.mark.parametrize(
    "message",
    [
        [], "x", None, {}, {"kind": "surprise"}, {"kind": "run_failed"}, {"kind": "model_failed", "run": "r"},
        {"kind": "model_rejected", "run": "r", "model": "m", "version": "1.0.0"}, {"kind": "report"}, {"kind": "model_review", "run": "r", "model": "m", "version": "1.0.0"}, {"kind": ["run_failed"]},
        {"detail-type": "Step Functions Execution Status Change"}, event(status="RUNNING"), event(name=""),
        {**EVENT, "detail-type": "SageMaker Training Job State Change"},
    ],
)  # fmt: skip
def test_a_message_of_unknown_shape_raises(message):
    with pytest.raises(UnknownMessageError):
        read_message(message, LINKS, SINCE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb\r\tc", "a b c"),
        ("before → after – über", "before -> after - ?ber"),
        ("", "(no subject)"),
        ("\x07\x00", "(no subject)"),
    ],
)
def test_subjects_are_what_sns_takes(text, expected):
    assert subject(text) == expected


def test_a_long_subject_is_cut_and_a_long_text_too():
    assert len(subject("x" * 500)) == 99 and subject("x" * 500).endswith("...")
    long_text = cut("ü" * 200_000)
    assert len(long_text.encode()) < TEXT_BYTES + 100 and "cut" in long_text
