"""The OpenAPI document of the API, made from the types that its routes take and give."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from boxcar.api.problems import CONTENT_TYPE, Problem

VERSION = "1.0.0"
_REF = "#/components/schemas/{model}"
_JSON = "application/json"
_PROBLEMS = {
    400: "A field or parameter is not valid; `errors` names each.",
    404: "There is no such job, endpoint, version or question.",
    409: "The name is taken by something with other contents, or its status does not allow it.",
    500: "Something went wrong inside.",
    503: "Too much at once; `Retry-After` says in how many seconds to try again.",
}
_PATH = {
    "id": "Boxcar's id of a job, or the name under which the caller submitted it",
    "family": "name of a family",
    "model": "name of a model of the family",
}
# What API Gateway answers by itself, before the function is asked.
_GATEWAY = {
    403: "Not signed, not allowed to call this (`execute-api:Invoke`), or no such path.",
    429: "More calls a second than the stage allows.",
}


@dataclass(frozen=True)
class Route:
    """One method of one path, as the document tells it.

    Attributes:
        method: in capitals.
        resource: such as `/jobs/{id}`.
        name: of the operation.
        summary: one line.
        description: the rest.
        answers: status → what it means and its type; None: any JSON object.
        query: the type of the parameters behind `?`.
        body: types of which the body is one.
        problems: statuses of problem documents, beside 400, 500 and 503.
        tag: by which readers of the document group operations.
    """

    method: str
    resource: str
    name: str
    summary: str
    answers: dict[int, tuple[str, type[BaseModel] | tuple[type[BaseModel], ...] | None]]
    description: str = ""
    query: type[BaseModel] | None = None
    body: tuple[type[BaseModel], ...] = ()
    problems: tuple[int, ...] = ()
    examples: dict[str, Any] = field(default_factory=dict)
    tag: str = "jobs"


def document(routes: Iterable[Route], stage: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of these routes.

    Args:
        routes: all of them.
        stage: of API Gateway; the first part of every path.
    """
    routes = list(routes)
    types: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for route in routes:
        types |= {(body, "validation"): None for body in route.body}
        types |= {(part, "serialization"): None for _, given in route.answers.values() for part in _parts(given)}
    schemas, definitions = models_json_schema(list(types), ref_template=_REF)
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.resource, {})[route.method.lower()] = _operation(route, schemas)
    gateway = {
        "description": "What API Gateway itself refuses.",
        "type": "object",
        "properties": {"message": {"type": "string"}, "Message": {"type": "string"}},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Boxcar jobs",
            "version": VERSION,
            "description": (
                "Submit jobs, list them, see why they wait or failed, stop them, try them again; release approved "
                "versions of models, and see what serves. Calls are signed with "
                "AWS Signature Version 4 for the service `execute-api`; times are ISO 8601 in UTC."
            ),
        },
        "servers": [{"url": f"/{stage}"}],
        "security": [{"sigv4": []}],
        "paths": paths,
        "components": {
            "schemas": {**definitions["$defs"], "GatewayRefusal": gateway},
            "securitySchemes": {
                "sigv4": {
                    "type": "apiKey",
                    "name": "Authorization",
                    "in": "header",
                    "x-amazon-apigateway-authtype": "awsSigv4",
                }
            },
        },
    }


def _operation(route: Route, schemas: Any) -> dict[str, Any]:
    parameters = [
        {"name": part[1:-1], "in": "path", "required": True, "schema": {"type": "string", "minLength": 1},
         "description": _PATH[part[1:-1]]}
        for part in route.resource.split("/") if part.startswith("{")
    ]  # fmt: skip
    operation: dict[str, Any] = {"operationId": route.name, "summary": route.summary, "tags": [route.tag]}
    if route.description:
        operation["description"] = route.description
    if route.query:
        parameters += list(_query(route.query))
    if parameters:
        operation["parameters"] = parameters
    if route.body:
        content: dict[str, Any] = {"schema": _one_of([schemas[body, "validation"] for body in route.body])}
        if route.examples:
            content["examples"] = {name: {"value": value} for name, value in route.examples.items()}
        operation["requestBody"] = {"required": True, "content": {_JSON: content}}
    answers: dict[str, Any] = {}
    for status, (meaning, given) in route.answers.items():
        schema = _one_of([schemas[part, "serialization"] for part in _parts(given)]) if given else {"type": "object"}
        answers[str(status)] = {"description": meaning, "content": {_JSON: {"schema": schema}}}
    for status in sorted({400, 500, 503, *route.problems}):
        schema = schemas[Problem, "serialization"]
        answers[str(status)] = {"description": _PROBLEMS[status], "content": {CONTENT_TYPE: {"schema": schema}}}
    answers["503"]["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
    for status, meaning in _GATEWAY.items():
        schema = {"$ref": _REF.format(model="GatewayRefusal")}
        answers[str(status)] = {"description": meaning, "content": {_JSON: {"schema": schema}}}
    return operation | {"responses": dict(sorted(answers.items()))}


def _query(model: type[BaseModel]) -> Iterable[dict[str, Any]]:
    for name, schema in model.model_json_schema(mode="validation").get("properties", {}).items():
        told = {key: value for key, value in schema.items() if key not in ("title", "description", "anyOf", "default")}
        for choice in schema.get("anyOf", []):  # a parameter that may be left out is not null
            told |= choice if choice != {"type": "null"} else {}
        if schema.get("default"):
            told["default"] = schema["default"]
        parameter = {"name": name, "in": "query", "required": False, "schema": told}
        if "description" in schema:
            parameter["description"] = schema["description"]
        yield parameter


def _parts(given: Any) -> tuple[type[BaseModel], ...]:
    return given if isinstance(given, tuple) else (given,) if given else ()


def _one_of(schemas: list[Any]) -> dict[str, Any]:
    return schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
