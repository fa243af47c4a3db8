"""What a Task can call: the resource ARNs this engine knows, and which AWS call each one is.

Source: developer guide, "Integrating services with Step Functions" and "Supported AWS SDK service integrations".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from local.stepfunctions import sdk

FUNCTION = re.compile(r"arn:aws[\w-]*:lambda:[\w-]*:\d*:function:.+")
INTEGRATION = re.compile(
    r"arn:aws[\w-]*:states:[\w-]*:\d*:(aws-sdk:)?([\w-]+):(\w+)(?:\.(sync:2|sync|waitForTaskToken))?"
)

# Optimized integrations: service in the ARN → name in boto3, and the modes of each action.
CALL, SYNC, SYNC2, TOKEN = "", "sync", "sync:2", "waitForTaskToken"
OPTIMIZED: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "lambda": ("lambda", {"invoke": (CALL, TOKEN)}),
    "sqs": ("sqs", {"sendMessage": (CALL, TOKEN)}),
    "sns": ("sns", {"publish": (CALL, TOKEN)}),
    "events": ("events", {"putEvents": (CALL, TOKEN)}),
    "dynamodb": ("dynamodb", dict.fromkeys(("getItem", "putItem", "updateItem", "deleteItem"), (CALL,))),
    "states": ("stepfunctions", {"startExecution": (CALL, SYNC, SYNC2, TOKEN)}),
    "sagemaker": ("sagemaker", {
        **dict.fromkeys(("createTrainingJob", "createProcessingJob", "createTransformJob"), (CALL, SYNC)),
        **dict.fromkeys(("createModel", "createEndpointConfig", "createEndpoint", "updateEndpoint"), (CALL,)),
    }),
    "batch": ("batch", {"submitJob": (CALL, SYNC)}),
    "glue": ("glue", {"startJobRun": (CALL, SYNC)}),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Resource:
    """The Resource of a Task, taken apart; `function` is set where it is a Lambda function's own ARN."""

    arn: str
    service: str
    action: str
    mode: str = CALL
    sdk: bool = False
    function: str | None = None

    @classmethod
    def of(cls, arn: str) -> Resource:
        """Take an ARN apart that `unknown_resource` finds nothing wrong with."""
        if FUNCTION.fullmatch(arn):
            return cls(arn, "lambda", "invoke", function=arn)
        match = INTEGRATION.fullmatch(arn)
        if match is None:
            raise ValueError(arn)
        return cls(arn, match[2], match[3], match[4] or CALL, bool(match[1]))

    @property
    def type(self) -> str:
        """`resourceType` of history events."""
        return f"aws-sdk:{self.service}" if self.sdk else self.service

    @property
    def event_name(self) -> str:
        """`resource` of history events."""
        return f"{self.action}.{self.mode}" if self.mode else self.action

    @property
    def service_name(self) -> str:
        """How error texts call it."""
        return self.function or self.type

    @property
    def client(self) -> str:
        """The service's name in boto3."""
        return sdk.client_name(self.service) if self.sdk else OPTIMIZED[self.service][0]


def optimized(arn: str) -> bool:
    """Whether an ARN has the form of an optimized integration, run by this engine or not."""
    match = INTEGRATION.fullmatch(arn)
    return match is not None and not match[1]


def unknown_resource(arn: str) -> str:
    """Why a Task with this Resource cannot run here; empty where it can."""
    if FUNCTION.fullmatch(arn):
        return ""
    if ":activity:" in arn:
        return f"The resource '{arn}' is an activity, which this engine does not run; use .waitForTaskToken"
    match = INTEGRATION.fullmatch(arn)
    if match is None:
        return f"The resource '{arn}' is not a function or a service integration"
    is_sdk, service, action, mode = match[1], match[2], match[3], match[4] or CALL
    if is_sdk:
        reason = sdk.unknown_action(service, action)
        if not reason and mode in (SYNC, SYNC2):
            reason = (
                f"The resource '{arn}' cannot end in .{mode}: AWS SDK integrations wait with .waitForTaskToken only"
            )
        return reason
    if service not in OPTIMIZED:
        return f"The resource '{arn}' is not run by this engine; it knows aws-sdk:* and {', '.join(OPTIMIZED)}"
    actions = OPTIMIZED[service][1]
    if action not in actions:
        return f"The resource '{arn}' is not run by this engine; of '{service}' it knows {', '.join(actions)}"
    if mode not in actions[action]:
        return f"The resource '{arn}' cannot end in .{mode}"
    return ""
