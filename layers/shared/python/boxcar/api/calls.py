"""One call as API Gateway hands it over, and the answer to it."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from boxcar.api.problems import Refused

MOST_BODY = 1_000_000  # bytes


@dataclass(frozen=True)
class Call:
    """One call, as an event of a REST API with a Lambda proxy integration tells it.

    Attributes:
        method: GET, POST, DELETE.
        resource: the route, such as `/jobs/{id}`.
        path: its parameters.
        query: name → values, in order.
        text: the body as it came.
        caller: ARN of whoever signed the call.
        stage: the first part of the path on the internet.
    """

    method: str
    resource: str
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, list[str]] = field(default_factory=dict)
    text: str = ""
    caller: str = ""
    stage: str = ""

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> "Call":
        """Read an event (payload format 1.0).

        Raises:
            Refused: the body is too large, or no text.
        """
        text = event.get("body") or ""
        if len(text) > MOST_BODY:
            said = f"the body has {len(text)} bytes, {MOST_BODY} are allowed; submit fewer jobs at once"
            raise Refused(400, "The body is too large", [("body", said)])
        if event.get("isBase64Encoded"):
            try:
                text = base64.b64decode(text).decode()
            except ValueError:
                raise Refused(400, "The body is not JSON", [("body", "it is not text in UTF-8")]) from None
        context = event.get("requestContext") or {}
        return cls(
            method=event["httpMethod"],
            resource=event["resource"],
            path=event.get("pathParameters") or {},
            query=event.get("multiValueQueryStringParameters") or {},
            text=text,
            caller=(context.get("identity") or {}).get("userArn") or "",
            stage=context.get("stage") or "",
        )

    def body(self) -> Any:
        """The body as JSON.

        Raises:
            Refused: it is none.
        """
        try:
            return json.loads(self.text)
        except ValueError as error:
            raise Refused(400, "The body is not JSON", [("body", str(error))]) from None

    @property
    def who(self) -> str:
        """The caller's name: of an IAM user, or of the session of a role; "" if it is not known.

        Formats: IAM User Guide, "IAM identifiers" and "AWS JSON policy elements: Principal".
        """
        resource = self.caller.split(":", 5)[-1]
        return resource.rpartition("/")[2]


@dataclass(frozen=True)
class Answer:
    """What the caller gets: a status and a JSON document."""

    status: int
    document: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"

    def event(self) -> dict[str, Any]:
        """As API Gateway takes it from a function."""
        return {
            "statusCode": self.status,
            "headers": {"Content-Type": self.content_type, "Cache-Control": "no-store", **self.headers},
            "body": json.dumps(self.document, ensure_ascii=False),
            "isBase64Encoded": False,
        }
