"""What the team agreed on for every resource of the template. Each rule says what to write instead."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lint import alarm_rules, template
from lint.findings import Finding
from lint.template import Template, references

SECRET = re.compile(r"SECRET|PASSWORD|PASSWD|TOKEN|CREDENTIAL|PRIVATE|API_?KEY|ACCESS_?KEY", re.IGNORECASE)
Fault = tuple[str, str]  # the resource, and what is wrong


def check(root: Path) -> list[Finding]:
    """Apply every rule to the template of the checkout."""
    stack = template.read(root / "template.yaml")
    rules = (parameters, queues, queue_times, targets, functions, log_groups, secrets, machines, *alarm_rules.RULES)
    found = [Finding(stack.file, place, message) for rule in rules for place, message in rule(stack)]
    found += [Finding(stack.file, place, message) for place, message in substitutions(stack, root)]
    return found + [Finding(stack.file, place, message) for place, message in code_folders(stack, root)]


def parameters(stack: Template) -> Iterator[Fault]:
    """Every parameter tells what it is for, and works without being set."""
    for name, parameter in stack.written.get("Parameters", {}).items():
        for field in ("Description", "Default"):
            if field not in parameter:
                yield name, f"a parameter needs {field}: `sam deploy --guided` shows it to people who read nothing else"


def queues(stack: Template) -> Iterator[Fault]:
    """Every queue has a queue for dead letters, and that one has an alarm."""
    kept = stack.of_type("AWS::SQS::Queue")
    alarmed = {
        referred
        for alarm in stack.of_type("AWS::CloudWatch::Alarm").values()
        if alarm["Properties"].get("MetricName", "").startswith("ApproximateNumberOfMessages")
        for dimension in alarm["Properties"].get("Dimensions", [])
        for referred in references(dimension["Value"])
    }
    dead = dead_letter_queues(stack)
    for name, queue in kept.items():
        if name not in dead and "RedrivePolicy" not in queue.get("Properties", {}):
            yield (
                name,
                "a queue needs a RedrivePolicy to a queue for dead letters: what nobody can process must not be lost",
            )
        if name in dead and name not in alarmed:
            yield (
                name,
                "a queue for dead letters needs an AWS::CloudWatch::Alarm on its ApproximateNumberOfMessagesVisible",
            )


def dead_letter_queues(stack: Template) -> set[str]:
    """Return the logical ids of the queues that anything names as its dead-letter target."""
    found: set[str] = set()

    def look(value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                if key in ("deadLetterTargetArn", "DeadLetterConfig", "DeadLetterQueue", "OnFailure"):
                    found.update(references(item))
                look(item)
        elif isinstance(value, list):
            for item in value:
                look(item)

    look(stack.expanded["Resources"])
    return found


def queue_times(stack: Template) -> Iterator[Fault]:
    """A message stays invisible for at least as long as the function that has it may run."""
    kept, runs = stack.of_type("AWS::SQS::Queue"), stack.of_type("AWS::Lambda::Function")
    for mapping in stack.of_type("AWS::Lambda::EventSourceMapping").values():
        properties = mapping["Properties"]
        for queue in references(properties.get("EventSourceArn")) & kept.keys():
            for function in references(properties.get("FunctionName")) & runs.keys():
                visible = kept[queue].get("Properties", {}).get("VisibilityTimeout", 30)
                timeout = runs[function]["Properties"].get("Timeout", 3)
                if isinstance(visible, int) and isinstance(timeout, int) and visible < timeout:
                    yield (
                        queue,
                        f"VisibilityTimeout {visible} is below {function}'s Timeout {timeout}: work is done twice",
                    )
                if "ReportBatchItemFailures" not in properties.get("FunctionResponseTypes", []):
                    yield function, f"its queue {queue} needs FunctionResponseTypes: [ReportBatchItemFailures]"


def targets(stack: Template) -> Iterator[Fault]:
    """What a rule, a schedule or a stream cannot deliver ends in a queue for dead letters."""
    for name, rule in stack.of_type("AWS::Events::Rule").items():
        if any("DeadLetterConfig" not in target for target in rule["Properties"].get("Targets", [])):
            yield name, "each target of a rule needs a DeadLetterConfig"
    for name, schedule in stack.of_type("AWS::Scheduler::Schedule").items():
        if "DeadLetterConfig" not in schedule["Properties"]["Target"]:
            yield name, "the target of a schedule needs a DeadLetterConfig"
    for name, mapping in stack.of_type("AWS::Lambda::EventSourceMapping").items():
        properties = mapping["Properties"]
        if "StartingPosition" in properties and "OnFailure" not in properties.get("DestinationConfig", {}):
            yield name, "a stream needs DestinationConfig: {OnFailure: a queue}: what is given up must not be lost"


def functions(stack: Template) -> Iterator[Fault]:
    """Every function has its own role, its own log group, a time limit and a description."""
    owners: dict[str, str] = {}
    kept_logs = stack.of_type("AWS::Logs::LogGroup")
    for name, function in stack.of_type("AWS::Lambda::Function").items():
        properties = function["Properties"]
        for role in references(properties.get("Role")):
            if role in owners:
                yield name, f"shares the role {role} with {owners[role]}; give it Policies of its own"
            owners[role] = name
        if not references(properties.get("LoggingConfig", {}).get("LogGroup")) & kept_logs.keys():
            yield name, "needs LoggingConfig: {LogGroup: !Ref its own AWS::Logs::LogGroup}; else logs are kept for ever"
        for field in ("Timeout", "Description"):
            if not properties.get(field):
                yield name, f"needs {field}"


def log_groups(stack: Template) -> Iterator[Fault]:
    """Every log group forgets after a while."""
    for name, group in stack.of_type("AWS::Logs::LogGroup").items():
        if "RetentionInDays" not in group.get("Properties", {}):
            yield name, "a log group needs RetentionInDays"


def secrets(stack: Template) -> Iterator[Fault]:
    """No environment variable carries a secret: anyone who may read the function's configuration reads it."""
    for name, function in stack.of_type("AWS::Lambda::Function").items():
        for variable in function["Properties"].get("Environment", {}).get("Variables", {}):
            if SECRET.search(variable) and not variable.upper().endswith(("_ARN", "_NAME", "_ID")):
                yield (
                    name,
                    f"environment variable {variable} looks like a secret; pass the ARN of a Secrets Manager secret",
                )


def machines(stack: Template) -> Iterator[Fault]:
    """Every state machine writes its errors to a log group of this template."""
    kept_logs = stack.of_type("AWS::Logs::LogGroup")
    for name, machine in stack.of_type("AWS::StepFunctions::StateMachine").items():
        logging = machine["Properties"].get("LoggingConfiguration", {})
        if logging.get("Level", "OFF") == "OFF" or not references(logging.get("Destinations")) & kept_logs.keys():
            yield name, "needs Logging: {Level: ERROR, Destinations: an AWS::Logs::LogGroup of this template}"


def substitutions(stack: Template, root: Path) -> Iterator[Fault]:
    """The `${names}` in a definition are those that the template fills in."""
    for name, machine in stack.written_of_type("AWS::Serverless::StateMachine").items():
        properties = machine["Properties"]
        uri = properties.get("DefinitionUri")
        if not isinstance(uri, str) or not (root / uri).exists():
            continue
        used = set(re.findall(r"\$\{([^}!]+)\}", (root / uri).read_text()))
        given = set(properties.get("DefinitionSubstitutions", {}))
        for missing in sorted(used - given):
            yield name, f"{uri} uses ${{{missing}}}; add it to DefinitionSubstitutions"
        for idle in sorted(given - used):
            yield name, f"{uri} does not use ${{{idle}}}; remove it from DefinitionSubstitutions"


def code_folders(stack: Template, root: Path) -> Iterator[Fault]:
    """Every function has its folder with its handler, and every folder its function."""
    used = set()
    for name, function in stack.written_of_type("AWS::Serverless::Function").items():
        folder = str(function["Properties"].get("CodeUri", "")).strip("/")
        used.add(folder)
        if not (root / folder / "app.py").exists():
            yield name, f"CodeUri {folder}/ has no app.py"
    for path in sorted((root / "functions").glob("*/app.py")):
        folder = str(path.parent.relative_to(root))
        if folder not in used:
            yield folder, "no function of the template has this CodeUri"
