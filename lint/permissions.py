"""Every IAM statement of the expanded template: known actions, on resources they apply to, no wider than it must be.

parliament knows which actions exist and what each can be limited to (AWS's Service Authorization Reference). Names that
only a deployment knows are filled in with samples of the right form, so that it can compare.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from lint import template
from lint.findings import Finding
from lint.template import Template

ACCOUNT, REGION, STACK = "111122223333", "us-east-1", "boxcar"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:sample-AbCdEf"
REPOSITORY = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/sample"
PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::StackName": STACK,
    "AWS::URLSuffix": "amazonaws.com",
}
ARNS = {  # the form of a resource's ARN, and the property that names it
    "AWS::S3::Bucket": ("arn:aws:s3:::{}", "BucketName"),
    "AWS::DynamoDB::Table": ("arn:aws:dynamodb:us-east-1:111122223333:table/{}", "TableName"),
    "AWS::SQS::Queue": ("arn:aws:sqs:us-east-1:111122223333:{}", "QueueName"),
    "AWS::SNS::Topic": ("arn:aws:sns:us-east-1:111122223333:{}", "TopicName"),
    "AWS::Lambda::Function": ("arn:aws:lambda:us-east-1:111122223333:function:{}", "FunctionName"),
    "AWS::StepFunctions::StateMachine": ("arn:aws:states:us-east-1:111122223333:stateMachine:{}", "StateMachineName"),
    "AWS::Logs::LogGroup": ("arn:aws:logs:us-east-1:111122223333:log-group:{}:*", "LogGroupName"),
    "AWS::ECR::Repository": ("arn:aws:ecr:us-east-1:111122223333:repository/{}", "RepositoryName"),
    "AWS::IAM::Role": ("arn:aws:iam::111122223333:role/{}", "RoleName"),
}
# parliament's findings that do not count here: SAM leaves Version out of what it generates.
IGNORED = {"NO_VERSION", "UNKNOWN_FEDERATION_SOURCE", "UNKNOWN_PRINCIPAL"}
# Step Functions does compare the state machine of a task token, though the reference names no resource: SAM's policy
# template StepFunctionsCallbackPolicy and CDK's grantTaskResponse rely on it.
ON_STATE_MACHINES = {"states:SendTaskSuccess", "states:SendTaskFailure", "states:SendTaskHeartbeat"}
# These ARNs end in ids that nobody chooses, so a template cannot name them.
UNNAMEABLE = re.compile(
    r"arn:[^:]*:(redshift-serverless:[^:]+:\d+:workgroup|batch:[^:]+:\d+:job|"
    r"application-autoscaling:[^:]+:\d+:scalable-target)/\*"
)
WHOLE_KIND = re.compile(r"(arn:[^:]*:(?!s3:)[^:]*:[^:]*:[^:]*:)?([\w-]+[/:])?\*")

Fault = tuple[str, str]


def check(root: Path) -> list[Finding]:
    """Check every policy of the template of the checkout."""
    stack = template.read(root / "template.yaml")
    return sorted({Finding(stack.file, place, message) for place, message in faults(stack)})


def faults(stack: Template) -> Iterator[Fault]:
    """Yield (resource, what is wrong with its permissions)."""
    for name, resource in stack.expanded["Resources"].items():
        properties = resource.get("Properties", {})
        for policy in properties.get("Policies", []) if resource["Type"] == "AWS::IAM::Role" else []:
            yield from _policy(name, Samples(stack).fill(policy["PolicyDocument"]))
        if resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"):
            yield from _policy(name, Samples(stack).fill(properties["PolicyDocument"]))
        for arn in properties.get("ManagedPolicyArns", []):
            if "service-role/" not in str(arn):
                yield name, f"has the managed policy {arn}, which grants more than is needed; write its statements out"
        for document in ("AssumeRolePolicyDocument", "PolicyDocument"):
            yield from _principals(name, properties.get(document, {}))


def _policy(name: str, policy: dict[str, Any]) -> Iterator[Fault]:
    for statement in _listed(policy.get("Statement")):
        if statement.get("Effect") != "Allow":
            continue
        label = f" ({statement['Sid']})" if "Sid" in statement else ""
        for field in ("NotAction", "NotResource"):
            if field in statement:
                yield name, f"{field}{label} grants what nobody has listed; list what is needed"
        actions = _listed(statement.get("Action"))
        for action in actions:
            if "*" in action:
                yield name, f"action {action}{label}: write out the actions that are needed"
        for resource in _listed(statement.get("Resource")):
            if resource == "*":
                nameable = [action for action in actions if _takes_resources(action)]
                if nameable and "Condition" not in statement:
                    yield name, f"resource *{label}: name the resource of {', '.join(nameable)}"
            elif WHOLE_KIND.fullmatch(str(resource)) and not UNNAMEABLE.fullmatch(str(resource)):
                yield name, f"resource {resource}{label} is every one of its kind; name it, or its prefix"
    yield from _parliament(name, policy)


def _parliament(name: str, policy: dict[str, Any]) -> Iterator[Fault]:
    import parliament

    for finding in parliament.analyze_policy_string(json.dumps(policy)).findings:
        if finding.issue == "RESOURCE_MISMATCH":
            # Where an action takes several kinds of resource, the reference marks each as required; one is enough.
            for entry in finding.detail:
                if not _is_taken(entry["action"], policy):
                    yield name, f"{entry['action']} takes {entry['required_format']}, and is granted on another kind"
        elif finding.issue not in IGNORED:
            yield name, f"{finding.issue.lower().replace('_', ' ')}: {finding.detail or finding.location}"


def _is_taken(action: str, policy: dict[str, Any]) -> bool:
    """Return whether some resource that the policy grants `action` on is of a kind the action takes."""
    from parliament import iam_definition, is_arn_match

    if action in ON_STATE_MACHINES:
        return True
    service, _, name = action.partition(":")
    known = next(entry for entry in iam_definition if entry["prefix"] == service)
    privilege = next(entry for entry in known["privileges"] if entry["privilege"] == name)
    kinds = {entry["resource_type"].rstrip("*") for entry in privilege["resource_types"]}
    forms = [re.sub(r"\$\{[^}]*\}", "*", entry["arn"]) for entry in known["resources"] if entry["resource"] in kinds]
    granted = [
        resource
        for statement in _listed(policy["Statement"])
        if action in _listed(statement.get("Action"))
        for resource in _listed(statement.get("Resource"))
    ]
    return any(is_arn_match("", form, resource) for form in forms for resource in granted)


def _principals(name: str, policy: dict[str, Any]) -> Iterator[Fault]:
    """Yield the statements of a resource's own policy that let in everybody."""
    for statement in _listed(policy.get("Statement")):
        principal = statement.get("Principal")
        everybody = principal == "*" or (isinstance(principal, dict) and "*" in _listed(principal.get("AWS")))
        if everybody and statement.get("Effect") == "Allow" and "Condition" not in statement:
            yield name, "Principal * without a Condition lets in everybody; name the service or account"


@cache
def _takes_resources(action: str) -> bool:
    """Return whether an action can be limited to resources. An action that is not known counts as one that can."""
    from parliament import iam_definition

    service, _, name = action.partition(":")
    for known in iam_definition:
        if known["prefix"] == service.lower():
            for privilege in known["privileges"]:
                if privilege["privilege"].lower() == name.lower():
                    return any(entry["resource_type"] for entry in privilege["resource_types"])
    return True


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


class Samples:
    """Fills in what only a deployment knows: names, ARNs, parameters, conditions."""

    def __init__(self, stack: Template) -> None:
        self._resources = stack.expanded["Resources"]
        self._parameters = stack.expanded.get("Parameters", {})

    def fill(self, value: Any) -> Any:
        """Return `value` with its intrinsic functions replaced by samples. Both sides of an If count."""
        if isinstance(value, list):
            return [item for entry in value for item in self._entries(entry)]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (function, argument), *_ = value.items()
            if function == "Ref":
                return self._ref(argument)
            if function == "Fn::GetAtt":
                return self._attribute(*(argument.split(".", 1) if isinstance(argument, str) else argument))
            if function == "Fn::Sub":
                return self._sub(argument)
            if function == "Fn::FindInMap":
                return ACCOUNT if "Account" in argument else "sample"
            if function == "Fn::If":
                sides = [self.fill(side) for side in argument[1:] if side != {"Ref": "AWS::NoValue"}]
                return sides[0] if sides else []
        return {
            key: self._sides(item) if key in ("Action", "Resource") else self.fill(item) for key, item in value.items()
        }

    def _entries(self, entry: Any) -> list[Any]:
        if isinstance(entry, dict) and "Fn::If" in entry:
            return [self.fill(side) for side in entry["Fn::If"][1:] if side != {"Ref": "AWS::NoValue"}]
        return [self.fill(entry)]

    def _sides(self, value: Any) -> list[Any]:
        """Return what a statement may list under either outcome of its conditions."""
        sides = self._entries(value)
        return [item for side in sides for item in _listed(side)]

    def _ref(self, name: str) -> str:
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self._parameters:
            kinds = {"Account": ACCOUNT, "SecretArn": SECRET, "Repositories": REPOSITORY}
            sample = next((sample for kind, sample in kinds.items() if kind in name), "sample")
            return str(self._parameters[name].get("Default") or sample)
        resource = self._resources.get(name, {})
        if resource.get("Type") in ("AWS::SNS::Topic", "AWS::StepFunctions::StateMachine"):
            return self._attribute(name, "Arn")
        return self._name(name)

    def _attribute(self, name: str, attribute: str) -> str:
        resource = self._resources.get(name, {})
        if not attribute.endswith("Arn") or resource.get("Type") not in ARNS:
            return self._name(name)
        return ARNS[resource["Type"]][0].format(self._name(name))

    def _name(self, name: str) -> str:
        resource = self._resources.get(name, {})
        _, field = ARNS.get(resource.get("Type", ""), ("", ""))
        given = resource.get("Properties", {}).get(field)
        return str(self.fill(given)) if given else f"{STACK}-{name.lower()}"

    def _sub(self, argument: Any) -> str:
        text, values = (argument, {}) if isinstance(argument, str) else argument

        def sample(match: re.Match[str]) -> str:
            name = match[1]
            if name in values:
                return str(self.fill(values[name]))
            return str(self._attribute(*name.split(".", 1)) if "." in name else self._ref(name))

        return re.sub(r"\$\{([^!}]+)\}", sample, text)
