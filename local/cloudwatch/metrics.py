"""What was measured: samples by namespace, name and exact dimensions, in one SQLite file that a restart finds again."""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

KEPT_SECONDS = 15 * 86400.0  # AWS keeps one-minute data for so long, and coarser data for 455 days
RECENT_SECONDS = 3 * 3600.0  # of ListMetrics' RecentlyActive
SCHEMA = """
CREATE TABLE IF NOT EXISTS metrics (
    id INTEGER PRIMARY KEY, namespace TEXT, name TEXT, dimensions TEXT, last REAL, UNIQUE (namespace, name, dimensions)
);
CREATE TABLE IF NOT EXISTS samples (
    metric INTEGER, at REAL, unit TEXT, count REAL, total REAL, low REAL, high REAL
);
CREATE INDEX IF NOT EXISTS by_time ON samples (metric, at);
"""
Dimensions = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Metric:
    """What is measured: a metric without a dimension is another than the same with it."""

    namespace: str
    name: str
    dimensions: Dimensions = ()

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: dict[str, str]) -> "Metric":
        """A metric of dimensions in any order."""
        return cls(namespace, name, tuple(sorted(dimensions.items())))


@dataclass(frozen=True)
class Sample:
    """A value seen `count` times, or the summary of several; `at` is in seconds since the epoch."""

    at: float
    count: float
    total: float
    low: float
    high: float
    unit: str = "None"

    @classmethod
    def of(cls, at: float, value: float, unit: str = "None", count: float = 1.0) -> "Sample":
        """One value, `count` times."""
        return cls(at, count, value * count, value, value, unit)


class Metrics:
    """The samples of one cloud. Safe to use from several threads."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=OFF")  # a kill of the process loses nothing
        self._database.executescript(SCHEMA)
        self._ids: dict[Metric, int] = {}

    def put(self, samples: Iterable[tuple[Metric, Sample]], *, resolution: int = 60, replace: bool = False) -> None:
        """Keep samples, to the minute or (resolution 1) the second; `replace` takes out what the minute held before."""
        found = list(samples)  # before the lock: whoever makes them may fail
        with self._lock, self._database:
            self._database.execute("BEGIN")
            for metric, sample in found:
                number, at = self._id(metric), sample.at // resolution * resolution
                if replace:
                    self._database.execute("DELETE FROM samples WHERE metric = ? AND at = ?", (number, at))
                row = (number, at, sample.unit, sample.count, sample.total, sample.low, sample.high)
                self._database.execute("INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?, ?)", row)
                self._database.execute("UPDATE metrics SET last = max(last, ?) WHERE id = ?", (at, number))

    def samples(self, metric: Metric, start: float, end: float, unit: str | None = None) -> list[Sample]:
        """The samples of one metric from `start` to before `end`, oldest first; of one unit if given."""
        query = (
            "SELECT at, count, total, low, high, unit FROM samples JOIN metrics ON id = metric "
            "WHERE namespace = ? AND name = ? AND dimensions = ? AND at >= ? AND at < ? ORDER BY at"
        )
        key = (metric.namespace, metric.name, json.dumps(metric.dimensions))
        with self._lock:
            rows = self._database.execute(query, (*key, start, end)).fetchall()
        return [Sample(*row) for row in rows if unit is None or row[5] == unit]

    def find(self, wanted: Callable[[Metric], bool], since: float) -> list[Metric]:
        """Metrics with a sample since then, in the order in which they came to be."""
        with self._lock:
            rows = self._database.execute(
                "SELECT namespace, name, dimensions FROM metrics WHERE last >= ? ORDER BY id", (since,)
            ).fetchall()
        found = (Metric(row[0], row[1], tuple((name, value) for name, value in json.loads(row[2]))) for row in rows)
        return [metric for metric in found if wanted(metric)]

    def forget(self, before: float) -> None:
        """Let go of samples that are older."""
        with self._lock:
            self._database.execute("DELETE FROM samples WHERE at < ?", (before,))
            self._database.execute("DELETE FROM metrics WHERE last < ?", (before,))
            self._ids.clear()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def _id(self, metric: Metric) -> int:
        number = self._ids.get(metric)
        if number is None:
            key = (metric.namespace, metric.name, json.dumps(metric.dimensions))
            self._database.execute("INSERT OR IGNORE INTO metrics VALUES (NULL, ?, ?, ?, 0)", key)
            [number] = self._database.execute(
                "SELECT id FROM metrics WHERE namespace = ? AND name = ? AND dimensions = ?", key
            ).fetchone()
            self._ids[metric] = number
        return number
