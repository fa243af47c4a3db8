"""Is a Task's Resource an API that exists, and are its Arguments what it takes? Asked of botocore's own models."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

RESOURCE = re.compile(r"arn:aws[\w-]*:states:::(aws-sdk:)?([a-z0-9-]+):(\w+)(?:\.(sync(?::2)?|waitForTaskToken))?")

# Names of services in an ARN that differ from botocore's: the SDK integrations take the SDK for Java's names.
SERVICES = {"redshiftdata": "redshift-data", "sfn": "stepfunctions", "states": "stepfunctions", "eventbridge": "events"}
SERVICES |= {"cloudwatchlogs": "logs", "sagemakerruntime": "sagemaker-runtime", "bedrock": "bedrock-runtime"}

# https://docs.aws.amazon.com/step-functions/latest/dg/integrate-services.html
# fmt: off
OPTIMIZED = frozenset({
    "apigateway", "athena", "batch", "bedrock", "codebuild", "databrew", "dynamodb", "ecs", "eks", "elasticmapreduce",
    "emr-containers", "emr-serverless", "events", "glue", "http", "lambda", "mediaconvert", "sagemaker", "sns", "sqs",
    "states",
})
# fmt: on

# Parameters that are strings to the service, and to which Step Functions also lets one give any JSON.
ANY_JSON = frozenset(
    [("sqs", "MessageBody"), ("sns", "Message"), ("events", "Detail"), ("states", "Input"), ("lambda", "Payload")]
)
TYPES: dict[str, type] = {"structure": dict, "map": dict, "list": list, "string": str, "boolean": bool}
TYPES |= {"integer": int, "long": int}


def wrong_arguments(resource: str, arguments: Any) -> Iterator[tuple[str, str]]:
    """Yield (place below Arguments, what is wrong) for one Task. Expressions are not looked into."""
    if re.match(r"arn:aws[\w-]*:(lambda|states):[^:]+:\d+:|\$\{|\{%", resource):
        return  # a function, an activity, or a name that is filled in later
    found = RESOURCE.fullmatch(resource)
    if not found:
        form = "arn:aws:states:::service:action[.sync|.waitForTaskToken]"
        yield "", f"Resource {resource!r} is no integration; write {form}"
        return
    sdk, service, action, _ = found.groups()
    if not sdk and service not in OPTIMIZED:
        form = f"arn:aws:states:::aws-sdk:{service}:{action}"
        yield "", f"Resource {resource!r}: {service} has no integration of its own; write {form}"
        return
    if service in ("http", "apigateway") and not sdk:
        return
    operation = operation_of(SERVICES.get(service, service), action[0].upper() + action[1:])
    if isinstance(operation, str):
        yield "", f"Resource {resource!r}: {operation}"
    elif operation.input_shape is not None and not isinstance(arguments, str):
        yield from _mismatches("", operation.input_shape, arguments, "" if sdk else service)


@cache
def operation_of(service: str, action: str) -> Any:
    """Return botocore's model of an API action, or what is wrong with the name."""
    import botocore.session
    from botocore.exceptions import UnknownServiceError

    try:
        model = botocore.session.get_session().get_service_model(service)
    except UnknownServiceError:
        return f"there is no service {service}"
    return model.operation_model(action) if action in model.operation_names else f"{service} has no action {action}"


def _mismatches(place: str, shape: Any, value: Any, optimized: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and (value.startswith("{%") or "${" in value):
        return
    kind = shape.type_name
    wanted = TYPES.get(kind, object)
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        yield place, f"{value!r} is not {'an' if kind == 'integer' else 'a'} {kind}, which {shape.name} is"
    elif isinstance(value, dict) and kind == "structure":
        yield from _members(place, shape, value, optimized)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _mismatches(f"{place}[{index}]", shape.member, item, optimized)
    elif isinstance(value, dict) and kind == "map":
        for key, item in value.items():
            yield from _mismatches(f"{place}.{key}", shape.value, item, optimized)
    elif kind == "string" and shape.enum and value not in shape.enum:
        yield place, f"{value!r} is not a {shape.name}; write one of {', '.join(shape.enum[:12])}"


def _members(place: str, shape: Any, value: dict[str, Any], optimized: str) -> Iterator[tuple[str, str]]:
    """Check the parameters of one structure. Step Functions writes every one of them with a capital."""
    known = {name[0].upper() + name[1:]: member for name, member in shape.members.items()}
    for name, item in value.items():
        if name not in known:
            yield f"{place}.{name}", f"{shape.name} has no parameter {name}; it has {', '.join(sorted(known))}"
        elif (optimized, name) not in ANY_JSON:
            yield from _mismatches(f"{place}.{name}", known[name], item, optimized)
    for name in shape.required_members:
        capital = name[0].upper() + name[1:]
        if capital not in value:
            yield place, f"{shape.name} needs {capital}"
