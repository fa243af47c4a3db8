"""What the dashboard shows is measured by somebody, and what is measured can be read by CloudWatch."""

import json
import re
import time
from pathlib import Path

import pytest

from boxcar import measures, settings
from boxcar.measures import METRICS, measure
from lint import template
from local.cloudwatch import embedded, vended
from local.cloudwatch.dashboards import body_faults

ROOT = Path(__file__).parents[3]
MACHINES = {*vended.EXECUTIONS.values(), "ExecutionTime"}
OF_AWS = {  # as documented; the embedded cloud measures all of them
    ("AWS/States", "StateMachineArn"): MACHINES,
    ("AWS/SQS", "QueueName"): {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"},
    ("AWS/Lambda", "FunctionName"): {"Errors", "Throttles", "Invocations", "Duration"},
}
SEARCH = re.compile(r"SEARCH\('\{(?P<namespace>[^,]+),(?P<dimensions>[^}]+)\} MetricName=\"(?P<name>\w+)\"")


def dashboard():
    body = template.read(ROOT / "template.yaml").written["Resources"]["Dashboard"]["Properties"]["DashboardBody"]
    text = body["Fn::Sub"].replace("${AWS::StackName}", "boxcar").replace("${AWS::Region}", "us-east-1")
    return re.sub(r"\$\{(\w+)\}", r"arn:\1", text)


def shown():
    """(namespace, dimensions, metric) of everything that the dashboard names."""
    for widget in json.loads(dashboard())["widgets"]:
        for metric in widget["properties"].get("metrics", []):
            if isinstance(metric[0], dict):
                found = SEARCH.match(metric[0]["expression"])
                yield found["namespace"], tuple(found["dimensions"].split(",")), found["name"]
            else:
                names = [part for part in metric if isinstance(part, str)]
                yield names[0], tuple(names[2::2]), names[1]


def test_cloudwatch_draws_the_dashboard():
    assert body_faults(dashboard()) == []


def test_every_metric_on_it_is_measured_by_the_stack_or_by_aws():
    assert shown()
    for namespace, dimensions, name in shown():
        if namespace == measures.NAMESPACE:
            assert dimensions == ("service", *METRICS[name][1]), name
        else:
            assert name in OF_AWS[(namespace, *dimensions)], name


def test_every_metric_of_the_stack_is_on_it_and_some_function_measures_it():
    domain = ROOT / "layers/shared/python/boxcar"
    code = [*(ROOT / "functions").glob("*/app.py"), *domain.rglob("*.py")]
    code = "".join(path.read_text() for path in code if path != domain / "measures.py")
    for name in METRICS:
        assert name in code or (name.startswith("Verdicts") and 'f"Verdicts{verdict.outcome.title()}"' in code), name
    assert set(METRICS) == {name for namespace, _, name in shown() if namespace == measures.NAMESPACE}


@pytest.mark.parametrize("name", sorted({*vended.EXECUTIONS.values()}))
def test_the_dashboard_shows_the_executions_of_every_machine(name):
    resources = template.read(ROOT / "template.yaml").written["Resources"]
    machines = [name for name, one in resources.items() if one["Type"] == "AWS::Serverless::StateMachine"]
    [widget] = [
        one["properties"] for one in json.loads(dashboard())["widgets"] if one["properties"].get("title") == "Runs"
    ]
    [expression] = [metric[0]["expression"] for metric in widget["metrics"] if f'"{name}"' in metric[0]["expression"]]
    assert [machine for machine in machines if f'"arn:{machine}"' not in expression] == []


def test_functions_are_searched_by_a_part_of_their_name():
    """Double quotes ask for the whole value of a dimension, and no function is named as its stack is."""
    of_functions = re.findall(r"FunctionName=([^']+)'", dashboard())
    assert of_functions and set(of_functions) == {"boxcar"}


@pytest.fixture
def line(monkeypatch, capsys):
    monkeypatch.setenv("BOXCAR_STACK", "boxcar-dev")
    settings.settings.cache_clear()
    yield lambda: list(embedded.documents(capsys.readouterr().out))
    settings.settings.cache_clear()


@pytest.mark.parametrize("name", METRICS)
def test_cloudwatch_reads_what_is_measured(line, name):
    unit, dimensions = METRICS[name]
    measure({name: 2.5}, **dict.fromkeys(dimensions, "a name"))
    (document,) = line()
    ((metric, sample),) = embedded.read(document, time.time())[60]
    assert (metric.namespace, metric.name) == ("Boxcar", name)
    assert dict(metric.dimensions) == {"service": "boxcar-dev", **dict.fromkeys(dimensions, "a name")}
    assert (sample.total, sample.unit) == (2.5, unit)


def test_nothing_to_measure_writes_nothing(line):
    measure({})
    assert line() == []


def test_a_metric_with_other_dimensions_is_refused():
    with pytest.raises(KeyError, match="ModelScore: has dimensions family, model, not run"):
        measure({"ModelScore": 1.0}, run="run-1")
