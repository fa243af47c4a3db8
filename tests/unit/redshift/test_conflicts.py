"""Statements at the same time: writers wait for each other where Redshift lets them, and fail in its words where not."""

import os
import threading
import time
from pathlib import Path

from local.redshift.errors import is_conflict, redshift_text
from tests.unit.redshift.conftest import WORKGROUP


def test_writers_outside_transactions_wait_for_each_other(db):
    """Redshift locks the table; none of them fails, none is lost."""
    db.ok("CREATE TABLE t AS SELECT 0 a")
    ids = [db.start("UPDATE t SET a = a + 1") for _ in range(12)]
    assert [db.wait(identifier).get("Error") for identifier in ids] == [None] * 12
    assert db.rows("SELECT a FROM t") == [(12,)]


def test_readers_see_what_was_committed(db):
    db.ok("CREATE TABLE t AS SELECT 1 a")
    session = {
        "SessionId": db("ExecuteStatement", Sql="BEGIN", SessionKeepAliveSeconds=60, WaitTimeSeconds=10, **WORKGROUP)[
            "SessionId"
        ]
    }
    db.ok("UPDATE t SET a = 2", **session)
    assert db.rows("SELECT a FROM t") == [(1,)]
    assert db.rows("SELECT a FROM t", **session) == [(2,)]
    db.ok("COMMIT", **session)
    assert db.rows("SELECT a FROM t") == [(2,)]


def test_two_transactions_on_one_row_cannot_both_be_right(db):
    db.ok("CREATE TABLE t AS SELECT 1 a")
    sessions = [
        {
            "SessionId": db(
                "ExecuteStatement", Sql="BEGIN", SessionKeepAliveSeconds=60, WaitTimeSeconds=10, **WORKGROUP
            )["SessionId"]
        }
        for _ in range(2)
    ]
    for session in sessions:
        assert db.rows("SELECT a FROM t", **session) == [(1,)]
    db.ok("UPDATE t SET a = 10", **sessions[0])
    error = db.error("UPDATE t SET a = 20", **sessions[1])
    assert error.startswith("ERROR: 1023\n  Detail: Serializable isolation violation on table - ")
    assert "transactions forming the cycle are: " in error
    db.ok("COMMIT", **sessions[0])
    assert db.rows("SELECT a FROM t") == [(10,)]
    assert db.rows("SELECT a FROM t", **sessions[1]) == [(10,)]  # the failed transaction is over


def test_a_batch_that_meets_another_transaction_fails_as_a_whole(db):
    db.ok("CREATE TABLE t AS SELECT 1 a")
    session = {
        "SessionId": db("ExecuteStatement", Sql="BEGIN", SessionKeepAliveSeconds=60, WaitTimeSeconds=10, **WORKGROUP)[
            "SessionId"
        ]
    }
    db.ok("UPDATE t SET a = 10", **session)
    done = db.batch("INSERT INTO t VALUES (5)", "UPDATE t SET a = 20")
    assert done["Status"] == "FAILED"
    assert "Query #2 failed with ERROR: 1023" in done["Error"]
    db.ok("COMMIT", **session)
    assert db.rows("SELECT a FROM t") == [(10,)]


def test_only_conflicts_are_called_so():
    assert not is_conflict(ValueError("Conflict on update!"))
    assert redshift_text(ValueError("odd")) == "ERROR: odd"


def test_memory_stays_flat_on_a_large_unload(db, s3):
    """A million rows leave in files; this process keeps none of them."""
    db.ok("CREATE TABLE big AS WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 1100) "
          "SELECT a.i * 10000 + b.i AS n, 'value ' || (a.i * b.i) AS text FROM r a CROSS JOIN r b")  # fmt: skip
    before, peak, stop = resident_mb(), [0.0], threading.Event()

    def watch():
        while not stop.is_set():
            peak[0] = max(peak[0], resident_mb())
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    done = db.ok("UNLOAD ('SELECT n, text FROM big') TO 's3://data-bucket/big/' IAM_ROLE default PARQUET PARALLEL OFF")
    stop.set()
    watcher.join()
    assert done["ResultRows"] == 1_210_000
    size = sum(entry["Size"] for entry in s3.list_objects_v2(Bucket="data-bucket")["Contents"]) / 2**20
    # A million Python tuples would be 150 MB; moto keeps the file itself, some copies of it, in this process.
    assert peak[0] - before < 80 + 4 * size


def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
