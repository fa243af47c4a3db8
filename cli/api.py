"""The jobs API from the caller's side: calls signed with Signature Version 4, by botocore's own signer.

`Session.call_api` is the way in. The owner of the credentials needs `execute-api:Invoke` (docs/jobs-api.md).
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import click
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session

Query = Mapping[str, str | int | bool | Sequence[str]]
TRIES = 5
LONGEST_PAUSE_S = 20.0


class ApiProblem(click.ClickException):
    """The API refused. `status` is HTTP's, `problem` the problem document (RFC 9457) or what the gateway said."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        super().__init__(told(status, problem))


@dataclass
class JobsApi:
    """One deployed API and one caller.

    Attributes:
        url: up to and with the stage, without a trailing slash.
        region: of the API.
        credentials: of the caller.
    """

    url: str
    region: str
    credentials: Credentials
    pause: Callable[[float], None] = time.sleep

    def call(
        self, method: str, path: str, query: Query | None = None, body: Any = None, check: bool = True
    ) -> tuple[int, Any]:
        """Make one call; what is throttled or unavailable is tried again. All calls of the API can be repeated.

        Args:
            method: GET, POST or DELETE.
            path: such as `/jobs/my-job`.
            query: `{"status": "Failed", "tag": ["a=1", "b=2"]}`; a list is given as the same name several times.
            body: what is sent as JSON.
            check: raise for an answer of 400 and above, instead of returning it.

        Returns:
            The status, and the document (None without one).

        Raises:
            ApiProblem: the API refused.
            click.ClickException: it could not be reached.
        """
        for attempt in range(TRIES):
            last = attempt == TRIES - 1
            try:
                answer = URLLib3Session(timeout=40).send(self._signed(method, path, query, body))
            except BotoCoreError as error:
                if last:
                    raise click.ClickException(f"{self.url} cannot be reached: {error}") from None
                self.pause(_pause(attempt, {}))
                continue
            if answer.status_code not in (429, 502, 503, 504) or last:
                break
            self.pause(_pause(attempt, answer.headers))
        document = _document(answer.content)
        if check and answer.status_code >= 400:
            raise ApiProblem(answer.status_code, document if isinstance(document, dict) else {"detail": str(document)})
        return answer.status_code, document

    def _signed(self, method: str, path: str, query: Query | None, body: Any) -> Any:
        """A request as it goes over the wire. Signed afresh for each try: a signature is good for five minutes."""
        headers = {"Accept": "application/json"} | ({"Content-Type": "application/json"} if body is not None else {})
        pairs = [(name, text) for name, value in (query or {}).items() for text in _texts(value)]
        asked = "?" + urlencode(pairs, quote_via=quote, safe="~") if pairs else ""  # %20: a + would be signed as a plus
        request = AWSRequest(
            method=method,
            url=self.url + quote(path, safe="/%") + asked,  # a part that the caller has quoted stays as it is
            data=json.dumps(body).encode() if body is not None else b"",
            headers=headers,
        )
        SigV4Auth(self.credentials, "execute-api", self.region).add_auth(request)
        return request.prepare()


def embedded_url(url: str, endpoint: str) -> str:
    """Where the embedded cloud answers for an API whose address on AWS would be `url`.

    A host name of its own an API, as on AWS, cannot be resolved on every machine: the API's id goes into the path.
    """
    parts = urlsplit(url)
    api_id = (parts.hostname or "").partition(".")[0]
    return f"{endpoint}/restapis/{api_id}/{parts.path.strip('/')}/_user_request_"


def told(status: int, problem: dict[str, Any]) -> str:
    """A problem document, or what API Gateway itself answers, as one message."""
    words = problem.get("detail") or problem.get("title") or problem.get("message") or problem.get("Message") or ""
    fields = [f"{error.get('field')}: {error.get('message')}" for error in problem.get("errors", [])]
    if fields:
        return f"{problem.get('title') or 'the request was refused'} ({status})\n  " + "\n  ".join(fields)
    return f"{words or 'the jobs API refused'} ({status})"


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list | tuple) else [value]
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in values]


def _document(content: bytes) -> Any:
    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")


def _pause(attempt: int, headers: Mapping[str, str]) -> float:
    told_s = headers.get("Retry-After", "")
    return min(LONGEST_PAUSE_S, float(told_s) if told_s.isdigit() else 0.5 * 2**attempt)
