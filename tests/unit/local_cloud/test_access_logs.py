from typing import Any

from local.access_logs import AccessLogs, line

FORMAT = '{"caller": "$context.identity.userArn", "status": "$context.status", "error": "$context.error.message"}'


class FakeLogs:
    class exceptions:  # noqa: N801 - as boto3 has it
        class ResourceAlreadyExistsException(Exception):  # noqa: N818
            pass

    def __init__(self) -> None:
        self.written: dict[str, list[str]] = {}
        self.streams: set[str] = set()
        self.broken = False

    def create_log_stream(self, logGroupName: str, logStreamName: str) -> None:  # noqa: N803
        if logGroupName in self.streams:
            raise self.exceptions.ResourceAlreadyExistsException
        self.streams.add(logGroupName)

    def put_log_events(self, logGroupName: str, logStreamName: str, logEvents: list[dict[str, Any]]) -> None:  # noqa: N803
        if self.broken:
            raise RuntimeError("no such group")
        self.written.setdefault(logGroupName, []).extend(event["message"] for event in logEvents)


class FakeCloud:
    def __init__(self) -> None:
        self.logs = FakeLogs()

    def client(self, service: str) -> Any:
        assert service == "logs"
        return self.logs


def test_a_format_is_filled_in() -> None:
    told = line(FORMAT, {"identity.userArn": "arn:aws:iam::1:user/ann", "error.message": 'she said "no"'})
    assert told == '{"caller": "arn:aws:iam::1:user/ann", "status": "-", "error": "she said \\"no\\""}'


def test_lines_keep_their_order_and_their_group() -> None:
    cloud = FakeCloud()
    cloud.logs.streams.add("/b")  # an earlier process made it
    logs = AccessLogs(cloud)  # type: ignore[arg-type]
    for number in range(250):
        logs.write("/a" if number % 3 else "/b", "$context.status", {"status": str(number)})
    logs.close()
    assert cloud.logs.written["/a"] == [str(number) for number in range(250) if number % 3]
    assert cloud.logs.written["/b"] == [str(number) for number in range(250) if not number % 3]


def test_lines_that_cannot_be_written_do_not_end_it() -> None:
    cloud = FakeCloud()
    logs = AccessLogs(cloud)  # type: ignore[arg-type]
    cloud.logs.broken = True
    logs.write("/a", "$context.status", {"status": "1"})
    while not logs._lines.empty():
        pass
    logs.close()
    assert cloud.logs.written == {}
