"""The SAM template as CloudFormation will see it: expanded offline, state machines inlined so that they are checked."""

import copy
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

Resource = dict[str, Any]
ARTIFACT = {"Bucket": "artifacts-of-a-build", "Key": "artifact.zip"}  # stands for what `sam deploy` uploads


@dataclass(frozen=True)
class Template:
    """One template, as written and as expanded."""

    file: str  # relative to the checkout
    written: dict[str, Any]
    expanded: dict[str, Any]

    def of_type(self, kind: str) -> dict[str, Resource]:
        """Return the expanded resources of one type, by logical id."""
        return {name: entry for name, entry in self.expanded["Resources"].items() if entry["Type"] == kind}

    def written_of_type(self, kind: str) -> dict[str, Resource]:
        """Return the resources of one type as they are written, by logical id."""
        return {name: entry for name, entry in self.written["Resources"].items() if entry["Type"] == kind}


@cache
def read(path: Path) -> Template:
    """Read and expand a template.

    Raises:
        samtranslator.model.exceptions.InvalidDocumentException: SAM refuses it; the message says why.
    """
    import boto3
    from samtranslator.parser import parser
    from samtranslator.translator.translator import Translator
    from samtranslator.yaml_helper import yaml_parse

    written = yaml_parse(path.read_text())
    plain = copy.deepcopy(written)
    definitions: dict[str, Any] = {}
    for name, resource in plain["Resources"].items():
        properties = resource.get("Properties", {})
        for field in ("CodeUri", "ContentUri"):
            if isinstance(properties.get(field), str):
                properties[field] = dict(ARTIFACT)
        if resource["Type"] == "AWS::Serverless::StateMachine" and isinstance(properties.get("DefinitionUri"), str):
            definitions[name] = json.loads((path.parent / properties["DefinitionUri"]).read_text())
            properties["DefinitionUri"] = dict(ARTIFACT)
    session = boto3.Session(region_name="us-east-1")  # asked for nothing but the region and its partition
    expanded = Translator({}, parser.Parser(), boto_session=session).translate(plain, {})
    for name, definition in definitions.items():
        properties = expanded["Resources"][name]["Properties"]
        properties.pop("DefinitionS3Location", None)
        properties["Definition"] = definition
    return Template(path.name, written, expanded)


def references(value: Any) -> set[str]:
    """Return the logical ids that a value refers to by Ref, GetAtt or Sub."""
    if isinstance(value, list):
        return {name for item in value for name in references(item)}
    if not isinstance(value, dict):
        return set()
    if len(value) == 1:
        (function, argument), *_ = value.items()
        if function == "Ref":
            return {str(argument)}
        if function == "Fn::GetAtt":
            return {str(argument).split(".")[0] if isinstance(argument, str) else argument[0]}
        if function == "Fn::Sub":
            return set(re.findall(r"\$\{([A-Za-z0-9]+)", json.dumps(argument)))
    return {name for item in value.values() for name in references(item)}
