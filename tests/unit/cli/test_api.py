"""Signed calls against a server that says what it was told to say."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import click
import pytest
from botocore.credentials import Credentials

from cli.api import ApiProblem, JobsApi, embedded_url, told

PROBLEM = {
    "type": "urn:boxcar:problem:x", "title": "The request is not valid", "status": 400, "detail": "…",
    "errors": [{"field": "jobs[1].step.kind", "message": "'x' is not a kind of job"}],
}  # fmt: skip


class Server(ThreadingHTTPServer):
    """Answers with what is in `answers`, the last one for ever, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, dict[str, str], bytes]] = [(200, {}, b"{}")]
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []


class Handler(BaseHTTPRequestHandler):
    def answer(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server.asked.append((self.command, self.path, dict(self.headers), body))
        status, headers, document = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        self.send_response(status)
        for name, value in {"Content-Length": str(len(document)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(document)

    do_GET = do_POST = do_DELETE = answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def api(server: Server, pauses: list[float]) -> JobsApi:
    url = f"http://127.0.0.1:{server.server_port}/v1"
    return JobsApi(url, "eu-west-1", Credentials("AKID", "secret", "token"), pause=pauses.append)


def test_a_call_is_signed_for_its_region_and_its_session(api: JobsApi, server: Server) -> None:
    api.call("GET", "/jobs", {"tag": ["a=1", "b=x y"], "limit": 3, "explain": True})
    ((method, path, headers, _),) = server.asked
    assert (method, path) == ("GET", "/v1/jobs?tag=a%3D1&tag=b%3Dx%20y&limit=3&explain=true")
    assert "/eu-west-1/execute-api/aws4_request" in headers["Authorization"]
    assert headers["X-Amz-Security-Token"] == "token"


def test_a_body_goes_as_json(api: JobsApi, server: Server) -> None:
    server.answers = [(201, {}, '{"job": "ü"}'.encode())]
    assert api.call("POST", "/jobs", body={"job": "ü"}) == (201, {"job": "ü"})
    ((_, _, headers, body),) = server.asked
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"job": "ü"}


def test_what_a_caller_has_quoted_stays_as_it_is(api: JobsApi, server: Server) -> None:
    api.call("GET", "/jobs/a%2Fb")
    assert server.asked[0][1] == "/v1/jobs/a%2Fb"


def test_a_problem_is_an_error_with_its_fields(api: JobsApi, server: Server) -> None:
    server.answers = [(400, {}, json.dumps(PROBLEM).encode())]
    with pytest.raises(ApiProblem) as refused:
        api.call("POST", "/jobs", body={})
    assert (refused.value.status, refused.value.problem) == (400, PROBLEM)
    assert "jobs[1].step.kind: 'x' is not a kind of job" in refused.value.message
    assert isinstance(refused.value, click.ClickException)
    assert api.call("POST", "/jobs", body={}, check=False) == (400, PROBLEM)
    assert len(server.asked) == 2, "what is refused is not tried again"


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_is_throttled_is_tried_again(api: JobsApi, server: Server, pauses: list[float], status: int) -> None:
    server.answers = [(status, {"Retry-After": "3"}, b"{}"), (status, {}, b"{}"), (200, {}, b'{"jobs": []}')]
    assert api.call("GET", "/jobs") == (200, {"jobs": []})
    assert pauses == [3, 1.0]


def test_it_gives_up_in_the_end(api: JobsApi, server: Server, pauses: list[float]) -> None:
    server.answers = [(503, {}, b'{"title": "Too much at once", "detail": "try again"}')]
    with pytest.raises(ApiProblem, match="try again"):
        api.call("GET", "/jobs")
    assert (len(server.asked), len(pauses)) == (5, 4)


def test_nobody_there(pauses: list[float]) -> None:
    api = JobsApi("http://127.0.0.1:9/v1", "eu-west-1", Credentials("AKID", "secret"), pause=pauses.append)
    with pytest.raises(click.ClickException, match="cannot be reached"):
        api.call("GET", "/jobs")
    assert len(pauses) == 4


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ({"message": "Missing Authentication Token"}, "Missing Authentication Token (403)"),
        ({"Message": "User: x is not authorized"}, "User: x is not authorized (403)"),
        ({"detail": "there is no job 'x'", "title": "There is no such job", "errors": []}, "there is no job 'x' (403)"),
        ({}, "the jobs API refused (403)"),
    ],
)
def test_every_refusal_has_words(problem: dict[str, Any], words: str) -> None:
    assert told(403, problem) == words


def test_an_answer_that_is_not_json(api: JobsApi, server: Server) -> None:
    server.answers = [(500, {}, b"<html>")]
    with pytest.raises(ApiProblem, match="<html>"):
        api.call("GET", "/jobs")


def test_where_the_embedded_cloud_answers() -> None:
    told_url = "https://c8386ae4.execute-api.us-east-1.amazonaws.com/v1"
    assert embedded_url(told_url, "http://127.0.0.1:4566") == (
        "http://127.0.0.1:4566/restapis/c8386ae4/v1/_user_request_"
    )
