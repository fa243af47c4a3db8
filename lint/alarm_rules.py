"""What the team agreed on for alarms: each reaches somebody, and no function fails unseen."""

from collections.abc import Iterator

from lint.template import Template, references

PATH = "${AWS::StackName}/"  # EventBridge brings what is named so to the alarm queue
WATCHDOG = "${AWS::StackName}-watchdog/"  # … and what watches that queue goes past it
SCALING = "${AWS::StackName}-scaling/"  # … and what only scaling acts on tells nobody
METRICS = {"Errors", "Throttles"}
Fault = tuple[str, str]


def reach(stack: Template) -> Iterator[Fault]:
    """An alarm goes by the alarm queue, or straight to the watchdog's topic; never by both, never by neither.

    One that a scaling policy acts on asks for nobody, and must not be on the path to people.
    """
    scaling = stack.of_type("AWS::ApplicationAutoScaling::ScalingPolicy").keys()
    for name, alarm in stack.of_type("AWS::CloudWatch::Alarm").items():
        properties = alarm["Properties"]
        called = str((properties.get("AlarmName") or {}).get("Fn::Sub", ""))
        actions = references(properties.get("AlarmActions")) | references(properties.get("InsufficientDataActions"))
        acts = bool(actions) and actions <= scaling
        if not called.startswith(SCALING if acts else WATCHDOG if actions else PATH):
            yield (
                name,
                f'needs AlarmName: !Sub "{PATH}…" without AlarmActions, which EventBridge brings to the alarm queue; '
                f'or, if it watches that path itself, !Sub "{WATCHDOG}…" with AlarmActions or InsufficientDataActions: '
                "[!Ref WatchdogTopic]; "
                f'or, if a scaling policy acts on it, !Sub "{SCALING}…"',
            )
        if not properties.get("AlarmDescription"):
            yield name, "needs AlarmDescription: the mail shows it as what to do"


def functions(stack: Template) -> Iterator[Fault]:
    """Every function has an alarm on its errors and throttles."""
    watched: dict[str, set[str]] = {}
    for alarm in stack.of_type("AWS::CloudWatch::Alarm").values():
        properties = alarm["Properties"]
        stats = [one["MetricStat"]["Metric"] for one in properties.get("Metrics", []) if "MetricStat" in one]
        for metric in stats or [properties]:
            for dimension in metric.get("Dimensions", []):
                for function in references(dimension["Value"]):
                    watched.setdefault(function, set()).add(str(metric.get("MetricName")))
    for name in stack.of_type("AWS::Lambda::Function"):
        if missing := METRICS - watched.get(name, set()):
            yield name, f"needs an AWS::CloudWatch::Alarm on its {' and '.join(sorted(missing))}, as others have"


RULES = (reach, functions)
