"""From the JSON of a definition to typed states, with every field checked on the way.

What is not known is refused by name: a field that this engine would have to ignore is a field it does not run.
"""

from __future__ import annotations

import json
from typing import Any

from local.stepfunctions import definition as asl
from local.stepfunctions.definition import MISSING, Diagnostic, Parsed, Program
from local.stepfunctions.integrations import optimized, unknown_resource
from local.stepfunctions.jsonata import Template, is_expression, parse_template
from local.stepfunctions.parse_recovery import catchers, retriers, whole

MAX_BYTES = 1024 * 1024  # of a definition, in UTF-8
COMMON = frozenset({"Type", "Comment", "QueryLanguage"})
FLOW = COMMON | {"Next", "End", "Output", "Assign"}
RECOVERY = frozenset({"Retry", "Catch"})
FIELDS = {
    "Pass": FLOW,
    "Succeed": COMMON | {"Output"},
    "Fail": COMMON | {"Error", "Cause"},
    "Wait": FLOW | {"Seconds", "Timestamp"},
    "Choice": COMMON | {"Choices", "Default", "Output", "Assign"},
    "Task": FLOW | RECOVERY | {"Resource", "Arguments", "TimeoutSeconds", "HeartbeatSeconds", "Credentials"},
    "Parallel": FLOW | RECOVERY | {"Branches", "Arguments"},
    "Map": FLOW | RECOVERY | {
        "Items", "ItemSelector", "ItemProcessor", "MaxConcurrency", "Label", "ItemReader", "ItemBatcher",
        "ResultWriter", "ToleratedFailureCount", "ToleratedFailurePercentage",
    },
}  # fmt: skip
JSONPATH_FIELDS = frozenset({
    "InputPath", "OutputPath", "ResultPath", "Parameters", "ResultSelector", "Result", "ItemsPath", "SecondsPath",
    "TimestampPath", "TimeoutSecondsPath", "HeartbeatSecondsPath", "MaxConcurrencyPath", "ErrorPath", "CausePath",
    "ToleratedFailureCountPath", "ToleratedFailurePercentagePath", "Variable", "Iterator", "MaxItemsPath",
    "MaxItemsPerBatchPath", "MaxInputBytesPerBatchPath",
})  # fmt: skip
CLASSES = {
    "Pass": asl.Pass, "Succeed": asl.Succeed, "Fail": asl.Fail, "Wait": asl.Wait, "Choice": asl.Choice,
    "Task": asl.Task, "Parallel": asl.Parallel, "Map": asl.Map,
}  # fmt: skip


def parse(text: str, mocked: bool = False) -> Parsed:
    """Read a definition; problems are collected, not raised. See `Reader` for `mocked`."""
    if len(text.encode()) > MAX_BYTES:
        return Parsed(None, (Diagnostic("INVALID_JSON_DESCRIPTION", "The definition is larger than 1 MB", "/"),))
    try:
        raw = json.loads(text) if text else None
    except ValueError as error:
        return Parsed(None, (Diagnostic("INVALID_JSON_DESCRIPTION", f"Invalid JSON: {error}", "/"),))
    if not isinstance(raw, dict):
        return Parsed(None, (Diagnostic("SCHEMA_VALIDATION_FAILED", "Definition must be a valid JSON object", "/"),))
    reader = Reader(mocked)
    program = reader.machine(raw)
    if not reader.problems:
        from local.stepfunctions.checks import check

        reader.problems += check(program, raw)
    return Parsed(None if reader.problems else program, tuple(reader.problems), raw)


class Reader:
    """Reads one definition, remembering what is wrong with it.

    Where Tasks are `mocked`, they may name optimized integrations that this engine does not run.
    """

    def __init__(self, mocked: bool = False) -> None:
        self.problems: list[Diagnostic] = []
        self._mocked = mocked

    def wrong(self, message: str, location: str, code: str = "SCHEMA_VALIDATION_FAILED") -> None:
        """Remember a problem."""
        self.problems.append(Diagnostic(code, message, location))

    def machine(self, raw: dict[str, Any]) -> Program:
        """The program of a whole definition."""
        for name in sorted(set(raw) - {"Comment", "StartAt", "States", "Version", "TimeoutSeconds", "QueryLanguage"}):
            self.wrong(f"Field '{name}' is not supported", "/")
        if raw.get("Version", "1.0") != "1.0":
            self.wrong("The field 'Version' must be '1.0'", "/Version")
        language = raw.get("QueryLanguage", "JSONPath")
        if language not in ("JSONata", "JSONPath"):
            self.wrong("Value should be one of the following: [JSONPath, JSONata]", "/QueryLanguage")
        return self.program(raw, "", language)

    def program(self, raw: Any, where: str, language: str) -> Program:
        """The states of a machine, branch or processor."""
        if not isinstance(raw, dict):
            self.wrong("The value must be an object", where or "/")
            return Program("")
        missing = [name for name in ("States", "StartAt") if name not in raw]
        if missing:
            self.wrong(f"These fields are required: [{', '.join(missing)}]", where or "/")
        states, start = raw.get("States", {}), raw.get("StartAt", "")
        if not isinstance(states, dict) or ("States" in raw and not states):
            self.wrong("The field 'States' must be an object with at least one state", f"{where}/States")
            states = {}
        if not isinstance(start, str):
            self.wrong("The field 'StartAt' must be a string", f"{where}/StartAt")
            start = ""
        elif "StartAt" in raw and start not in states:
            self.wrong(f"Missing 'Next' target: {start}", f"{where}/StartAt", "MISSING_TRANSITION_TARGET")
        parsed: dict[str, asl.State] = {}
        for name, state in states.items():
            if len(name) > 80:
                self.wrong("The name of a state has at most 80 characters", f"{where}/States/{name}")
            read = self.state(name, state, f"{where}/States/{name}", language)
            if read is not None:
                parsed[name] = read
        timeout = raw.get("TimeoutSeconds")
        if timeout is not None and not whole(timeout, 1):
            self.wrong("The field 'TimeoutSeconds' must be a positive integer", f"{where}/TimeoutSeconds")
        return Program(start, parsed, timeout)

    def state(self, name: str, raw: Any, where: str, language: str) -> asl.State | None:
        """One state, or None where its type is not known or its language is not run here."""
        kind = raw.get("Type") if isinstance(raw, dict) else None
        if kind not in FIELDS:
            self.wrong(f"The field 'Type' must be one of {', '.join(FIELDS)}", f"{where}/Type")
            return None
        enclosing, language = language, raw.get("QueryLanguage", language)
        if enclosing == "JSONata" and language == "JSONPath":
            self.wrong("'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine", where)
            return None
        if language != "JSONata":
            self.wrong(
                f"The state '{name}' uses JSONPath, which this engine does not run; write \"QueryLanguage\": "
                '"JSONata" at the top of the definition and convert the state',
                where,
            )
            return None
        for unknown in sorted(set(raw) - FIELDS[kind]):
            if unknown in JSONPATH_FIELDS:
                self.wrong(
                    f"The QueryLanguage is set to 'JSONata', but field '{unknown}' is only supported for the "
                    "'JSONPath' QueryLanguage", where,
                )  # fmt: skip
            else:
                self.wrong(f"Field '{unknown}' is not supported", where)
        common: dict[str, Any] = {"name": name, "type": kind}
        if "Next" in FIELDS[kind]:
            common["next"] = self.transition(raw, where)
        common["output"] = self.template(raw, "Output", where)
        common["assign"] = self.assign(raw, where)
        if "Retry" in FIELDS[kind]:
            common["retry"] = retriers(self, raw, where)
            common["catch"] = catchers(self, raw, where)
        extra: dict[str, Any] = getattr(self, kind.lower(), lambda raw, where, language: {})(raw, where, language)
        return CLASSES[kind](**common, **extra)

    def transition(self, raw: dict[str, Any], where: str) -> str | None:
        """Where a state leads: exactly one of Next and End."""
        target, end = raw.get("Next"), raw.get("End")
        if (target is None) == (end is not True):
            self.wrong("Exactly one of 'Next' and 'End: true' must be there", where)
        if target is not None and not isinstance(target, str):
            self.wrong("The field 'Next' must be a string", f"{where}/Next")
        return target if isinstance(target, str) else None

    def template(self, raw: dict[str, Any], field: str, where: str, location: str = "") -> Template:
        """A field that may hold JSONata anywhere in it."""
        if field not in raw:
            return MISSING
        return parse_template(raw[field], location or field, lambda at, text: self.syntax(at, text, where))

    def scalar(self, raw: dict[str, Any], field: str, where: str, low: int, location: str = "") -> Template:
        """A field that holds a whole number of at least `low`, or an expression."""
        value = raw.get(field, MISSING)
        if value is not MISSING and not is_expression(value) and not whole(value, low):
            self.wrong(
                f"The field '{field}' must be an integer of at least {low} or a JSONata expression", f"{where}/{field}"
            )
        return self.template(raw, field, where, location)

    def syntax(self, at: str, text: str, where: str) -> None:
        """Remember an expression that does not compile."""
        self.wrong(text, f"{where}/{at}", "INVALID_JSONATA_EXPRESSION")

    def assign(self, raw: dict[str, Any], where: str, location: str = "") -> Template:
        """The variables a state, rule or catcher sets."""
        value = raw.get("Assign", MISSING)
        if value is MISSING:
            return MISSING
        if not isinstance(value, dict):
            self.wrong("The field 'Assign' must be an object", f"{where}/Assign")
            return MISSING
        for name in value:
            if name == "states" or len(name) > 80 or not name.isidentifier():
                self.wrong(f"'{name}' is not the name of a variable", f"{where}/Assign/{name}")
        return self.template(raw, "Assign", where, location)

    def rules(self, raw: dict[str, Any], field: str, where: str) -> list[dict[str, Any]]:
        """The objects of Retry, Catch or Choices."""
        value = raw.get(field, [])
        if not isinstance(value, list) or not all(isinstance(rule, dict) for rule in value):
            self.wrong(f"The field '{field}' must be an array of objects", f"{where}/{field}")
            return []
        return value

    def only(self, raw: dict[str, Any], known: set[str], where: str) -> None:
        """Refuse the fields that are not `known`."""
        for name in sorted(set(raw) - known):
            self.wrong(f"Field '{name}' is not supported", where)

    def target(self, raw: dict[str, Any], field: str, where: str) -> str:
        """The name of another state."""
        if not isinstance(raw.get(field), str):
            self.wrong(f"The field '{field}' must be the name of a state", f"{where}/{field}")
            return ""
        return str(raw[field])

    def fail(self, raw: dict[str, Any], where: str, language: str) -> dict[str, Any]:
        """The fields of Fail."""
        return {"error": self.text(raw, "Error", where), "cause": self.text(raw, "Cause", where)}

    def text(self, raw: dict[str, Any], field: str, where: str) -> Template:
        """A field that holds a string or an expression."""
        if field in raw and not isinstance(raw[field], str):
            self.wrong(f"The field '{field}' must be a string", f"{where}/{field}")
            return MISSING
        return self.template(raw, field, where)

    def wait(self, raw: dict[str, Any], where: str, language: str) -> dict[str, Any]:
        """The fields of Wait: exactly one of Seconds and Timestamp."""
        if ("Seconds" in raw) == ("Timestamp" in raw):
            self.wrong("Exactly one of 'Seconds' and 'Timestamp' must be there", where)
        stamp = raw.get("Timestamp")
        if (
            stamp is not None
            and not is_expression(stamp)
            and not (isinstance(stamp, str) and asl.TIMESTAMP.fullmatch(stamp))
        ):
            self.wrong("String does not match RFC3339 timestamp", f"{where}/Timestamp")
        return {"seconds": self.scalar(raw, "Seconds", where, 0), "timestamp": self.template(raw, "Timestamp", where)}

    def choice(self, raw: dict[str, Any], where: str, language: str) -> dict[str, Any]:
        """The fields of Choice."""
        rules = []
        for i, rule in enumerate(self.rules(raw, "Choices", where)):
            at = f"{where}/Choices[{i}]"
            self.only(rule, {"Condition", "Next", "Output", "Assign", "Comment"}, at)
            if not is_expression(rule.get("Condition")) and not isinstance(rule.get("Condition"), bool):
                self.wrong("The field 'Condition' must be a JSONata expression or a boolean", f"{at}/Condition")
            rules.append(asl.Rule(
                self.template(rule, "Condition", at, f"Choices[{i}]/Condition"), self.target(rule, "Next", at),
                self.assign(rule, at, f"Choices[{i}]/Assign"),
                self.template(rule, "Output", at, f"Choices[{i}]/Output"),
            ))  # fmt: skip
        if not rules:
            self.wrong("The field 'Choices' must be an array of at least one rule", f"{where}/Choices")
        return {"rules": tuple(rules), "default": self.target(raw, "Default", where) if "Default" in raw else None}

    def task(self, raw: dict[str, Any], where: str, language: str) -> dict[str, Any]:
        """The fields of Task."""
        resource = raw.get("Resource")
        if not isinstance(resource, str) or is_expression(resource):
            self.wrong(
                "The field 'Resource' must be the ARN of a function or of a service integration", f"{where}/Resource"
            )
        elif not (self._mocked and optimized(resource)) and (reason := unknown_resource(resource)):
            self.wrong(reason, f"{where}/Resource")
        return {
            "resource": resource if isinstance(resource, str) else "",
            "arguments": self.template(raw, "Arguments", where),
            "timeout": self.scalar(raw, "TimeoutSeconds", where, 1),
            "heartbeat": self.scalar(raw, "HeartbeatSeconds", where, 1),
            "credentials": self.template(raw, "Credentials", where),
        }

    def parallel(self, raw: dict[str, Any], where: str, language: str) -> dict[str, Any]:
        """The fields of Parallel."""
        branches = raw.get("Branches")
        if not isinstance(branches, list) or not branches:
            self.wrong("The field 'Branches' must be an array of at least one branch", f"{where}/Branches")
            branches = []
        for i, branch in enumerate(branches):
            self.only(
                branch if isinstance(branch, dict) else {}, {"StartAt", "States", "Comment"}, f"{where}/Branches[{i}]"
            )
        return {
            "branches": tuple(self.program(b, f"{where}/Branches[{i}]", language) for i, b in enumerate(branches)),
            "arguments": self.template(raw, "Arguments", where),
        }

    def map(self, raw: dict[str, Any], where: str, language: str) -> dict[str, Any]:
        """The fields of Map, see `parse_map`."""
        from local.stepfunctions.parse_map import map_fields

        return map_fields(self, raw, where, language)
