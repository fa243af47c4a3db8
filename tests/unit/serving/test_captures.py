"""Captured requests are read as SageMaker writes them, the newest first, and what is no line of it is counted."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

from boxcar.serving.captures import read_captures, scores_in

PLACE = "capture/box-1/boxcar-f-box/AllTraffic/2026/11/26"


def line(asked: str, answer: str, encoding: str = "CSV", **metadata: str) -> str:
    def part(text: str) -> dict[str, str]:
        data = base64.b64encode(text.encode()).decode() if encoding == "BASE64" else text
        return {"observedContentType": "text/csv", "mode": "INPUT", "data": data, "encoding": encoding}

    data = {"endpointInput": part(asked), "endpointOutput": part(answer)}
    told = {"eventId": "e", "inferenceTime": "2026-11-26T10:00:00Z", **metadata}
    return json.dumps({"captureData": data, "eventMetadata": told, "eventVersion": "0"})


def test_the_newest_come_first_and_only_those_of_the_variant(s3: Any) -> None:
    written = {
        f"{PLACE}/10/a.jsonl": [line("1,2", "0.25", inferenceId="one"), line("3,4", "0.5", "BASE64")],
        f"{PLACE}/11/b.jsonl": [line("5,6", "0.75")],
        PLACE.replace("AllTraffic", "Shadow") + "/11/c.jsonl": [line("5,6", "0.9")],
        PLACE.replace("box-1", "box-2") + "/11/c.jsonl": [line("5,6", "0.9")],
    }
    for key, lines in written.items():
        s3.put_object(Bucket="data", Key=key, Body="\n".join(lines).encode())
    found = read_captures(s3, "data", "box-1", "boxcar-f-box", "AllTraffic")
    assert [record.answer for record in found.records] == ["0.75", "0.5", "0.25"]
    assert found.records[2].inference_id == "one" and found.unreadable == 0
    [same] = read_captures(s3, "data", "box-1", "boxcar-f-box", "Shadow").records
    assert same.digest == found.records[0].digest != found.records[1].digest
    assert len(read_captures(s3, "data", "box-1", "boxcar-f-box", "AllTraffic", most=2).records) == 2


def test_what_the_same_configuration_answered_before_does_not_count(s3: Any) -> None:
    s3.put_object(Bucket="data", Key=f"{PLACE}/10/a.jsonl", Body=line("1", "0.1").encode())
    [written] = s3.list_objects_v2(Bucket="data")["Contents"]
    hour = datetime(2026, 11, 26, 10, tzinfo=UTC).timestamp()
    for since, found in ((hour, 1), (hour + 3600, 0), (written["LastModified"].timestamp() + 1, 0)):
        assert len(read_captures(s3, "data", "box-1", "boxcar-f-box", "AllTraffic", since).records) == found


def test_of_a_year_of_captures_little_more_is_listed_than_is_read(s3: Any) -> None:
    for month in range(1, 13):
        for day in (1, 15):
            key = f"capture/box-1/boxcar-f-box/AllTraffic/2025/{month:02}/{day:02}/10/a.jsonl"
            s3.put_object(Bucket="data", Key=key, Body=line("1", f"0.{month:02}{day:02}").encode())
    listed: list[str] = []
    s3.meta.events.register("before-call.s3.ListObjectsV2", lambda params, **_: listed.append(params["url_path"]))
    found = read_captures(s3, "data", "box-1", "boxcar-f-box", "AllTraffic", most=3)
    assert [record.answer for record in found.records] == ["0.1215", "0.1201", "0.1115"]
    assert len(listed) <= 26  # years, months, days and hours on the way to eight files, of 24
    listed.clear()
    since = datetime(2025, 12, 1, tzinfo=UTC).timestamp()
    assert len(read_captures(s3, "data", "box-1", "boxcar-f-box", "AllTraffic", since).records) == 2
    assert len(listed) <= 7


def test_half_a_line_and_foreign_lines_are_counted(s3: Any) -> None:
    body = "\n".join([line("1", "0.1"), line("1", "0.1")[:60], '{"captureData": {}}', "[]"])
    s3.put_object(Bucket="data", Key=f"{PLACE}/10/a.jsonl", Body=body.encode())
    found = read_captures(s3, "data", "box-1", "boxcar-f-box", "AllTraffic")
    assert (len(found.records), found.unreadable) == (1, 3)


def test_scores_are_the_last_fields() -> None:
    assert scores_in("1,0.25\n0,0.5\n") == [0.25, 0.5]
    assert scores_in("hello") is None
