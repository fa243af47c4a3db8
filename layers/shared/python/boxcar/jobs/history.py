"""What became of jobs: pages of summaries, newest first, from indexes. Nothing is scanned.

A page reads a bounded number of items, however many match: it may hold fewer than asked for, or none, and still be
followed by another one. `next` says whether there is one, and where it begins.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from boxcar.attributes import Item, encode
from boxcar.errors import BoxcarError
from boxcar.jobs.documents import JobSummary, summary

MOST_DAYS = 31
MOST_JOBS = 200  # a page
MOST_READ = 2000  # items a page; about 1.2 MB of the index, or 150 read units
MOST_READ_AT_ONCE = 500
_CREATED = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")


class BadToken(BoxcarError):  # noqa: N818
    """The token of a page was not given out for this list."""


@dataclass(frozen=True)
class Listing:
    """Which jobs are asked for. What is empty does not matter.

    Attributes:
        day: the last day, in UTC.
        days: how many, that one included; 1 to 31.
        run: the jobs of one run instead, whenever they were made; these come by id, not by time.
    """

    day: date
    days: int = 1
    owner: str = ""
    run: str = ""
    status: str = ""
    sweep: str = ""
    family: str = ""
    kind: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def first_day(self) -> date:
        """The oldest one."""
        return self.day - timedelta(days=self.days - 1)

    @property
    def fingerprint(self) -> str:
        """Stands for everything but the days: a token is good for the list that it was given out for, and no other."""
        told = [self.owner, self.run, self.status, self.sweep, self.family, self.kind, sorted(self.tags.items())]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Page:
    """Some jobs of a list, and the token of the next page, "" for the last one."""

    jobs: list[JobSummary]
    next: str = ""


class History:
    """Reads lists of jobs."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def page(self, listing: Listing, limit: int = 50, token: str = "") -> Page:
        """One page of a list.

        Args:
            listing: which jobs.
            limit: how many at most, 1 to 200.
            token: `next` of the page before, "" for the first.

        Raises:
            BadToken: the token is not one, or one of another list.
        """
        after: Item | None = None
        if token:
            listing, after = _read_token(token, listing)
        found: list[Item] = []
        left = MOST_READ
        for query in self._queries(listing, after):
            while True:
                # A filter is applied to what was read: read more than is wanted, if most of it will be dropped.
                at_once = MOST_READ_AT_ONCE if "FilterExpression" in query else limit - len(found) + 1
                answer = self._client.query(**query, Limit=max(1, min(left, at_once)))
                left -= answer.get("ScannedCount", len(answer["Items"]))
                found += answer["Items"]
                if len(found) > limit:
                    return _page(found[:limit], _position(found[limit - 1], listing), listing)
                last = answer.get("LastEvaluatedKey")
                if last is None:
                    break
                query["ExclusiveStartKey"] = last
                if left <= 0:
                    return _page(found, last, listing)
        return _page(found, None, listing)

    def _queries(self, listing: Listing, after: Item | None) -> Iterator[dict[str, Any]]:
        """One for each partition that holds jobs of the list, the newest first."""
        if listing.run:
            yield self._query(listing, "by_run", "run", listing.run, after)
        elif listing.owner:
            query = self._query(listing, "by_owner", "owner", listing.owner, after)
            query["KeyConditionExpression"] += " AND created BETWEEN :from AND :to"
            to = (listing.day + timedelta(days=1)).isoformat()
            query["ExpressionAttributeValues"] |= {":from": encode(listing.first_day.isoformat()), ":to": encode(to)}
            yield query
        else:
            newest = date.fromisoformat(after["day"]["S"]) if after else listing.day
            while newest >= listing.first_day:
                yield self._query(listing, "by_day", "day", newest.isoformat(), after)
                newest, after = newest - timedelta(days=1), None

    def _query(self, listing: Listing, index: str, key: str, value: str, after: Item | None) -> dict[str, Any]:
        names = {"#key": key}
        values = {":key": encode(value)}
        wanted = {name: getattr(listing, name) for name in ("owner", "status", "sweep", "family", "kind")}
        filters = []
        for name, text in wanted.items():
            if text and name != key:
                names[f"#{name}"], values[f":{name}"] = name, encode(text)
                filters.append(f"#{name} = :{name}")
        for number, (tag, text) in enumerate(sorted(listing.tags.items())):
            names |= {"#tags": "tags", f"#tag{number}": tag}
            values[f":tag{number}"] = encode(text)
            filters.append(f"#tags.#tag{number} = :tag{number}")
        query: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": index,
            "KeyConditionExpression": "#key = :key",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
            "ScanIndexForward": False,
        }
        if filters:
            query["FilterExpression"] = " AND ".join(filters)
        if after:
            query["ExclusiveStartKey"] = after
        return query


def today(now: float) -> date:
    """The day of a time, in UTC."""
    return datetime.fromtimestamp(now, UTC).date()


def _page(items: list[Item], last: Item | None, listing: Listing) -> Page:
    return Page([summary(item) for item in items], _write_token(last, listing) if last else "")


def _position(item: Item, listing: Listing) -> Item:
    """The key of an item in the index that a list is read from."""
    index = ("run",) if listing.run else ("owner", "created") if listing.owner else ("day", "created")
    return {name: item[name] for name in ("pk", *index)}


def _write_token(position: Item, listing: Listing) -> str:
    """A list goes on over midnight with the days it began with, so the token holds them."""
    told = {name: value["S"] for name, value in position.items()}
    words = [listing.fingerprint, listing.day.isoformat(), listing.days, told]
    return base64.urlsafe_b64encode(json.dumps(words, separators=(",", ":")).encode()).decode().rstrip("=")


def _read_token(token: str, listing: Listing) -> tuple[Listing, Item]:
    """The list as it began, and the position to go on from.

    Whoever makes up a token gets no more than they could ask for: it is a place in a list that they may read.
    """
    try:
        words = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
        fingerprint, day, days, position = words
        listing = replace(listing, day=date.fromisoformat(day), days=days)
        good = (
            isinstance(days, int)
            and 1 <= days <= MOST_DAYS
            and set(position) == {"pk", *_index_of(listing)}
            and all(isinstance(value, str) for value in position.values())
            and position["pk"].startswith("job#")
        )
        if "day" in position:
            good = good and listing.first_day <= date.fromisoformat(position["day"]) <= listing.day
    except (ValueError, TypeError, KeyError, OverflowError, binascii.Error):
        raise BadToken("it was not given out by this list; write what `next` said, or leave it out") from None
    if not good or not _CREATED.fullmatch(position.get("created", "2000-01-01T00:00:00.000Z")):
        raise BadToken("it was not given out by this list; write what `next` said, or leave it out")
    if fingerprint != listing.fingerprint or any(
        position.get(name, value) != value for name, value in (("owner", listing.owner), ("run", listing.run)) if value
    ):
        raise BadToken("it belongs to a list with other parameters; repeat them all as they were, or leave it out")
    return listing, {name: {"S": value} for name, value in position.items()}


def _index_of(listing: Listing) -> tuple[str, ...]:
    return ("run",) if listing.run else ("owner", "created") if listing.owner else ("day", "created")
