import copy
from collections.abc import Iterator
from typing import Any

import pytest

from boxcar.attributes import encode
from boxcar.jobs import history
from tests.unit.jobs_api.conftest import BEN, NOON, Api, request
from tests.unit.jobs_api.indexes import IndexedDynamoDB

DAY = 86400.0


def submit(api: Api, names: list[str], **fields: Any) -> None:
    for start in range(0, len(names), 100):
        told = api.call("POST", "/jobs", {"jobs": [request(name, **fields) for name in names[start : start + 100]]})
        assert told.status == 201


def pages(api: Api, query: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    token: dict[str, str] = {}
    while True:
        told = api.call("GET", "/jobs", query={**query, **token})
        assert told.status == 200, told.document
        yield told.document["jobs"]
        if told.document["next"] is None:
            return
        token = {"next": told.document["next"]}


def names(jobs: list[dict[str, Any]]) -> list[str]:
    return [job["run"].rpartition("/")[2] for job in jobs]


@pytest.fixture(scope="module")
def stored_week() -> IndexedDynamoDB:
    """250 jobs over three days: 100, 100 and today 50; each day's own in the order of their numbers."""
    api = Api(IndexedDynamoDB())
    for day, numbers in ((2, range(100)), (1, range(100, 200)), (0, range(200, 250))):
        api.now = NOON - day * DAY
        for start in numbers[::50]:
            api.now += 60
            submit(api, [f"n-{number}" for number in range(start, start + 50)])
    return api.dynamodb


@pytest.fixture
def a_week(stored_week: IndexedDynamoDB) -> Api:
    """A copy of its own."""
    return Api(copy.deepcopy(stored_week), now=NOON + 3600)


def test_pages_hold_every_job_once_newest_first(a_week: Api) -> None:
    for limit in (50, 200, 33):
        listed = list(pages(a_week, {"limit": limit}))
        assert [len(page) for page in listed] == [limit] * (250 // limit) + [250 % limit] * (250 % limit > 0)
        jobs = [job for page in listed for job in page]
        assert len({job["job"] for job in jobs}) == 250
        times = [job["created_at"] for job in jobs]
        assert times == sorted(times, reverse=True)


def test_pages_are_of_one_piece(both: Api) -> None:
    submit(both, [f"n-{number}" for number in range(7)])
    for query in ({}, {"owner": "ann"}, {"owner": "ann", "status": "New"}, {"status": "New"}):
        listed = list(pages(both, {"limit": 3, **query}))
        assert [len(page) for page in listed] == [3, 3, 1]
        assert len({job["job"] for page in listed for job in page}) == 7


def test_an_owner_has_a_list_of_her_own(a_week: Api) -> None:
    a_week.call("POST", "/jobs", request("mine"), caller=BEN)
    assert [names(page) for page in pages(a_week, {"owner": "ben@example.com"})] == [["mine"]]
    assert sum(len(page) for page in pages(a_week, {"owner": "ann", "limit": 100})) == 250


def test_a_day_or_some(a_week: Api) -> None:
    def count(**query: Any) -> int:
        return sum(len(page) for page in pages(a_week, {"limit": 200, **query}))

    assert count(day="2026-01-06") == count(day="2026-01-06", owner="ann") == 100
    assert count(day="2026-01-06", days=2) == count(day="2026-01-06", days=2, owner="ann") == 200
    assert count(days=1) == count(days=1, owner="ann") == 50
    assert count(day="2025-12-01", days=31) == 0


def test_a_list_goes_on_over_midnight_with_the_days_it_began_with(a_week: Api) -> None:
    listing = pages(a_week, {"days": 2, "limit": 100})
    first = next(listing)
    a_week.now += DAY
    submit(a_week, ["too-late"])
    rest = [job for page in listing for job in page]
    assert len(first) + len(rest) == 150
    assert "too-late" not in names(rest)


def test_filters(both: Api) -> None:
    api = both
    submit(api, ["a", "b"], sweep="depths", tags={"ticket": "P-1", "who": "x=y"})
    submit(api, ["c"], sweep="depths", family="packaging")
    submit(api, ["d"], tags={"ticket": "P-2"})
    api.call("DELETE", "/jobs/d")

    def found(**query: Any) -> list[str]:
        by_day = sorted(name for page in pages(api, query) for name in names(page))
        by_owner = sorted(name for page in pages(api, {**query, "owner": "ann"}) for name in names(page))
        assert by_day == by_owner
        return by_day

    assert found(sweep="depths") == ["a", "b", "c"]
    assert found(tag="ticket=P-1") == ["a", "b"]
    assert found(tag=["ticket=P-1", "who=x=y"]) == ["a", "b"]
    assert found(tag=["ticket=P-1", "who=z"]) == []
    assert found(family="packaging") == ["c"]
    assert found(status="Stopped") == ["d"]
    assert found(status="New", sweep="depths", tag="ticket=P-1") == ["a", "b"]
    assert found(kind="training") == ["a", "b", "c", "d"]
    assert found(kind="processing") == []


def test_a_filter_that_drops_nearly_everything_still_ends(a_week: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page reads 40 records at most; the job that is looked for is the oldest of 250."""
    monkeypatch.setattr(history, "MOST_READ", 40)
    a_week.call("DELETE", "/jobs/n-0")
    listed = list(pages(a_week, {"status": "Stopped"}))
    assert [names(page) for page in listed if page] == [["n-0"]]
    assert len(listed) == 250 // 40 + 1


class Counting:
    def __init__(self, client: Any) -> None:
        self._client, self.read, self.queries = client, 0, 0

    def query(self, **wanted: Any) -> Any:
        answer = self._client.query(**wanted)
        self.queries += 1
        self.read += answer["ScannedCount"]
        return answer


def test_a_page_reads_a_bounded_number_of_records(a_week: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_READ", 40)
    for owner in ("", "ann"):
        counting = Counting(a_week.dynamodb)
        listing = history.Listing(history.today(a_week.now), days=31, owner=owner, status="Completed")
        history.History(counting, "jobs").page(listing)
        assert counting.read <= 40
        assert counting.queries <= 31
        counting = Counting(a_week.dynamodb)
        history.History(counting, "jobs").page(history.Listing(history.today(a_week.now), days=1, owner=owner), limit=5)
        assert counting.read <= 6, "without a filter no more than it shows, and one to know whether there are more"


def test_the_jobs_of_a_run(both: Api) -> None:
    api = both
    submit(api, ["a", "b"])
    run = api.call("GET", "/jobs/a").document["run"]
    assert [names(page) for page in pages(api, {"run": run})] == [["a"]]
    assert [names(page) for page in pages(api, {"run": "nothing"})] == [[]]


def test_a_summary_is_short(both: Api) -> None:
    api = both
    job = api.call("POST", "/jobs", request("a")).document["job"]
    item = api.dynamodb.get_item(TableName="jobs", Key={"pk": {"S": f"job#{job}"}})["Item"]
    failed = {"status": "Failed", "failure": "ClientError", "reason": "x" * 900, "started": NOON, "ended": NOON + 1.5}
    api.dynamodb.put_item(TableName="jobs", Item=item | {name: encode(value) for name, value in failed.items()})
    (told,) = api.call("GET", "/jobs").document["jobs"]
    assert len(told["reason"]) == 200
    assert (told["started"], told["ended"]) == ("2026-01-07T12:00:00.000Z", "2026-01-07T12:00:01.500Z")
    assert "document" not in told


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"day": "yesterday"}, "day"),
        ({"day": "2026-02-30"}, "day"),
        ({"day": "2027-01-01"}, "day"),
        ({"days": 0}, "days"),
        ({"days": 32}, "days"),
        ({"limit": 201}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"status": "Done"}, "status"),
        ({"tag": "ticket"}, "tag"),
        ({"tag": "=x"}, "tag"),
        ({"tag": ["a=1", "a=2"]}, "tag"),
        ({"owner": ["ann", "ben"]}, "owner"),
        ({"statuses": "New"}, "statuses"),
        ({"next": "!"}, "next"),
    ],
)
def test_parameters_that_are_not_valid(api: Api, query: dict[str, Any], field: str) -> None:
    told = api.call("GET", "/jobs", query=query)
    assert (told.status, told.fields) == (400, [field])
    assert told.document["errors"][0]["message"]


def test_a_token_is_good_for_its_own_list_only(a_week: Api) -> None:
    token = a_week.call("GET", "/jobs", query={"limit": 10}).document["next"]
    for other in ({"owner": "ann"}, {"status": "New"}, {"tag": "a=b"}, {"run": "r"}):
        told = a_week.call("GET", "/jobs", query={"next": token, **other})
        assert (told.status, told.fields) == (400, ["next"])
    mine = a_week.call("GET", "/jobs", query={"limit": 10, "owner": "ann"}).document["next"]
    assert a_week.call("GET", "/jobs", query={"next": mine, "owner": "ben@example.com"}).status == 400


@pytest.mark.parametrize("damage", [lambda t: t[:-3], lambda t: t[5:], lambda t: t + "x", lambda t: t.swapcase()])
def test_a_damaged_token_is_refused(a_week: Api, damage: Any) -> None:
    token = a_week.call("GET", "/jobs", query={"limit": 10}).document["next"]
    assert a_week.call("GET", "/jobs", query={"next": damage(token)}).fields == ["next"]


@pytest.mark.parametrize(
    "words",
    [
        "[]",
        "{}",
        '["x","2026-01-07",7,{"pk":"job#a","day":"2026-01-07","created":"2026-01-07T00:00:00.000Z"}]',
        '["FINGERPRINT","2026-01-07",700,{"pk":"job#a","day":"2026-01-07","created":"2026-01-07T00:00:00.000Z"}]',
        '["FINGERPRINT","2026-01-07",7,{"pk":"job#a","day":"2025-01-07","created":"2026-01-07T00:00:00.000Z"}]',
        '["FINGERPRINT","2026-01-07",7,{"pk":"lease#a","day":"2026-01-07","created":"2026-01-07T00:00:00.000Z"}]',
        '["FINGERPRINT","2026-01-07",7,{"pk":"job#a","day":"2026-01-07","created":"now"}]',
        '["FINGERPRINT","2026-01-07",7,{"pk":"job#a","day":"2026-01-07","created":7}]',
        '["FINGERPRINT","2026-01-07",7,{"pk":"job#a","owner":"ann","created":"2026-01-07T00:00:00.000Z"}]',
        '["FINGERPRINT","2026-01-07","7",{"pk":"job#a","day":"2026-01-07","created":"2026-01-07T00:00:00.000Z"}]',
    ],
)
def test_a_made_up_token_is_refused(api: Api, words: str) -> None:
    import base64

    listing = history.Listing(history.today(NOON), days=7)
    text = words.replace("FINGERPRINT", listing.fingerprint)
    token = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    told = api.call("GET", "/jobs", query={"next": token})
    assert (told.status, told.fields) == (400, ["next"])
