"""What jobs print, as CloudWatch Logs shows it."""

import time

from local.sagemaker.logs import Logs

GROUP = "/test/of-order"  # the S3 and the logs of these tests live as long as their session


class Stopped:
    """A clock that shows what it was set to, in epoch seconds."""

    def __init__(self, shows: float) -> None:
        self.shows = shows

    def time(self) -> float:
        return self.shows


def test_lines_stay_in_order_when_the_last_look_comes_after_the_end(cloud, monkeypatch):
    monkeypatch.setattr("local.sagemaker.logs.EVERY", 0.01)
    ended = time.time()
    cloud.clock = Stopped(ended + 5)  # a look that begins before the end and reads the clock after it
    client = cloud.client("logs")

    def lines():
        streams = client.describe_log_streams(logGroupName=GROUP)["logStreams"]
        told = [client.get_log_events(logGroupName=GROUP, logStreamName=one["logStreamName"]) for one in streams]
        return [event["message"] for one in told for event in one["events"]]

    client.create_log_group(logGroupName=GROUP)
    file = cloud.state / "output"
    file.write_text("one\ntwo\n")
    logs = Logs(cloud)
    logs.follow(GROUP, "job", file)
    deadline = time.monotonic() + 60
    while not lines() and time.monotonic() < deadline:
        time.sleep(0.01)
    with file.open("a") as output:
        output.write("three")
    logs.keep(GROUP, "job", file, ended)
    logs.close()
    assert lines() == ["one", "two", "three"]
