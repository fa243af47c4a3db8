"""What the API cannot show of history; the rest is in tests/unit/jobs_api/test_listing.py."""

from datetime import date
from typing import Any

import pytest

from boxcar.attributes import encode
from boxcar.jobs.history import BadToken, History, Listing, today

NOON = 1767787200.0


class Index:
    """Answers queries with pages that are given, and remembers the queries."""

    def __init__(self, *pages: dict[str, Any]) -> None:
        self.pages, self.asked = list(pages), list[dict[str, Any]]()

    def query(self, **wanted: Any) -> dict[str, Any]:
        self.asked.append(dict(wanted))
        return self.pages.pop(0) if self.pages else {"Items": []}


def item(name: str, day: str = "2026-01-07") -> dict[str, Any]:
    values = {"pk": f"job#{name}", "day": day, "created": f"{day}T10:00:00.000Z", "owner": "ann", "status": "New"}
    return {key: encode(value) for key, value in values.items()}


def test_today_is_a_day_of_utc() -> None:
    assert today(NOON) == date(2026, 1, 7)
    assert today(NOON + 12 * 3600 - 0.001) == date(2026, 1, 7)
    assert today(NOON + 12 * 3600) == date(2026, 1, 8)


def test_a_query_that_stops_early_is_gone_on_with() -> None:
    """DynamoDB ends a page after 1 MB, wherever that is."""
    first, second = item("a"), item("b")
    index = Index({"Items": [first], "LastEvaluatedKey": {"pk": first["pk"]}}, {"Items": [second]})
    page = History(index, "jobs").page(Listing(date(2026, 1, 7)), limit=5)
    assert [job.job for job in page.jobs] == ["a", "b"]
    assert page.next == ""
    assert index.asked[1]["ExclusiveStartKey"] == {"pk": first["pk"]}


def test_a_day_without_jobs_costs_one_query() -> None:
    index = Index()
    assert History(index, "jobs").page(Listing(date(2026, 1, 7), days=31)).jobs == []
    assert len(index.asked) == 31
    assert {asked["ExpressionAttributeValues"][":key"]["S"] for asked in index.asked} == {
        date(2026, 1, 7 - back).isoformat() if back < 7 else date(2025, 12, 38 - back).isoformat() for back in range(31)
    }


def test_an_owner_costs_one_query_however_many_days() -> None:
    index = Index()
    History(index, "jobs").page(Listing(date(2026, 1, 7), days=31, owner="ann"))
    assert len(index.asked) == 1
    assert index.asked[0]["IndexName"] == "by_owner"


def test_no_query_is_a_scan_and_each_has_a_limit() -> None:
    for listing in (
        Listing(date(2026, 1, 7)),
        Listing(date(2026, 1, 7), owner="ann"),
        Listing(date(2026, 1, 7), run="r"),
    ):
        index = Index()
        History(index, "jobs").page(listing)
        assert all(0 < asked["Limit"] <= 500 for asked in index.asked)


def test_words_that_dynamodb_reserves_are_not_written_out() -> None:
    index = Index()
    listing = Listing(date(2026, 1, 7), status="New", owner="ann", kind="training", tags={"name with space": "x"})
    History(index, "jobs").page(listing)
    filters = index.asked[0]["FilterExpression"]
    assert filters == "#status = :status AND #kind = :kind AND #tags.#tag0 = :tag0"
    assert index.asked[0]["ExpressionAttributeNames"]["#tag0"] == "name with space"


@pytest.mark.parametrize("token", ["x", "=", "é", "bnVsbA", "MQ", "e30", "A" * 1999])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(BadToken):
        History(Index(), "jobs").page(Listing(date(2026, 1, 7)), token=token)
