"""The API around the SQL: requests, states, tokens, names, pages, events, sessions, batches, stopping."""

import subprocess
import sys
import threading
import time

import pytest
from botocore.session import get_session
from botocore.validate import ParamValidator

from local.redshift.service import RedshiftData
from local.service import ApiError
from tests.unit.redshift.conftest import CALLER, ROLE, WORKGROUP, Caller, FakeCloud

SLOW = "SELECT SUM(a.i * b.i) FROM n a, n b, n c"  # minutes, if nobody stops it
NUMBERS = "CREATE TABLE n AS WITH RECURSIVE r (i) AS (SELECT 1::BIGINT UNION ALL SELECT i + 1 FROM r WHERE i < 5000) SELECT i FROM r"


def refused(db, action, **request):
    with pytest.raises(ApiError) as caught:
        db(action, **request)
    return caught.value


def until(condition, seconds=10.0):
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen in time")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"Sql": "SELECT 1"}, "Exactly one of ClusterIdentifier and WorkgroupName"),
        ({"Sql": "SELECT 1", "WorkgroupName": "boxcar"}, "Database must be specified"),
        ({"Sql": "SELECT 1", "WorkgroupName": "boxcar", "ClusterIdentifier": "c", "Database": "dev"}, "Exactly one of"),
        ({"Sql": "SELECT 1", "WorkgroupName": "boxcar", "DbUser": "bob", "Database": "dev"}, "DbUser must not"),
        ({"Sql": "SELECT 1", "ClusterIdentifier": "-x", "Database": "dev"}, "'clusterIdentifier' failed to satisfy constraint: Member must satisfy regular expression"),
        ({"Sql": "SELECT 1", "SessionId": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "Database": "dev"}, "Database must not be specified together with SessionId"),
        ({"Sql": "SELECT 1", "SessionId": "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}, "is not available"),
        ({"Sql": "SELECT 1; SELECT 2", **WORKGROUP}, "Multiple sql statements are not allowed"),
        ({"Sql": " ; ", **WORKGROUP}, "empty"),
        ({"Sql": "SELECT '" + "x" * 102_400 + "'", **WORKGROUP}, "at most 102400"),
        ({"Sql": "SELECT 1", "Parameters": [{"name": "a", "value": "1"}], **WORKGROUP}, "Unused parameters: ['a']"),
        ({"Sql": "SELECT :a", "Parameters": [{"name": "a", "value": "1"}] * 2, **WORKGROUP}, "given twice"),
        ({"Sql": "SELECT 1", "ResultFormat": "XML", **WORKGROUP}, "Member must satisfy enum value set: [JSON, CSV]"),
        ({"Sql": 5, **WORKGROUP}, "Invalid type for parameter Sql"),
        ({"Sql": "SELECT 1", "Wait": 5, **WORKGROUP}, 'Unknown parameter in input: "Wait"'),
        ({**WORKGROUP}, 'Missing required parameter in input: "Sql"'),
    ],
)  # fmt: skip
def test_bad_requests_are_refused_by_name(db, request_, words):
    error = refused(db, "ExecuteStatement", **request_)
    assert (error.code, error.status) == ("ValidationException", 400)
    assert words in error.message


def test_semicolons_in_text_are_no_statements(db):
    assert db.rows("SELECT 'a;b' -- and ; here\n;") == [("a;b",)]


def test_unknown_actions_and_ids(db):
    assert refused(db, "DropEverything").code == "UnknownOperationException"
    nobody = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    for action in ("DescribeStatement", "GetStatementResult", "CancelStatement"):
        assert refused(db, action, Id=nobody).code == "ResourceNotFoundException"
    done = db.batch("SELECT 1")
    assert refused(db, "DescribeStatement", Id=f"{done['Id']}:2").code == "ResourceNotFoundException"


def test_answers_have_the_shapes_of_botocores_model(db):
    """A client parses what the model says, so a field that is not in it would be lost without a word."""
    model = get_session().get_service_model("redshift-data")

    def check(action, **request):
        answer = db(action, **request)
        report = ParamValidator().validate(answer, model.operation_model(action).output_shape)
        assert not report.has_errors(), report.generate_report()
        return answer

    started = check(
        "ExecuteStatement", Sql="SELECT 1 a, 'x' b", StatementName="n", SessionKeepAliveSeconds=60, **WORKGROUP
    )
    check("DescribeStatement", Id=started["Id"], WaitTimeSeconds=10)
    check("GetStatementResult", Id=started["Id"])
    batch = check("BatchExecuteStatement", Sqls=["CREATE TABLE t (a VARCHAR(5) DEFAULT 'x')", "SELECT 1"], **WORKGROUP)
    check("DescribeStatement", Id=batch["Id"], WaitTimeSeconds=10)
    check("DescribeStatement", Id=batch["Id"] + ":1")
    for action in ("ListTables", "ListSchemas", "ListDatabases"):
        assert len(check(action, **WORKGROUP)) == 1
    check("DescribeTable", Table="t", **WORKGROUP)
    check("ListStatements", Status="ALL")
    check("ListSessions")
    refused_cancel = refused(db, "CancelStatement", Id=batch["Id"])
    assert "already in FINISHED state" in refused_cancel.message
    csv = check(
        "ExecuteStatement", Sql="SELECT 1 a, NULL b, 'x,y' c", ResultFormat="CSV", WaitTimeSeconds=10, **WORKGROUP
    )
    assert csv["Status"] == "FINISHED"
    page = check("GetStatementResultV2", Id=csv["Id"])
    assert page["Records"] == [{"CSVRecords": 'a,b,c\r\n1,,"x,y"\r\n'}]
    assert "use GetStatementResultV2" in refused(db, "GetStatementResult", Id=csv["Id"]).message


def test_a_client_token_stands_for_one_statement(db, cloud):
    db.ok("CREATE TABLE t (a INT)")
    request = {"Sql": "INSERT INTO t VALUES (1)", "ClientToken": "token-1", **WORKGROUP}
    ids = set()
    threads = [threading.Thread(target=lambda: ids.add(db("ExecuteStatement", **request)["Id"])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 1
    db.wait(ids.pop())
    assert db.rows("SELECT COUNT(*) FROM t") == [(1,)]
    other = db("ExecuteStatement", caller="arn:aws:sts::123456789012:assumed-role/other/x", **request)
    db.wait(other["Id"])
    assert db.rows("SELECT COUNT(*) FROM t") == [(2,)]  # tokens are a caller's own
    cloud.clock.now += 8 * 3600 + 1
    db.wait(db("ExecuteStatement", **request)["Id"])
    assert db.rows("SELECT COUNT(*) FROM t") == [(3,)]  # and kept for eight hours


def test_statements_are_listed_by_name_role_and_state(db):
    for number in range(5):
        db.run(f"SELECT {number}", StatementName=f"boxcar-{number}")
    db.run("SELECT broken", StatementName="boxcar-broken")
    listed = db("ListStatements", StatementName="boxcar-", MaxResults=3)
    names = [entry["StatementName"] for entry in listed["Statements"]]
    listed = db("ListStatements", StatementName="boxcar-", MaxResults=3, NextToken=listed["NextToken"])
    names += [entry["StatementName"] for entry in listed["Statements"]]
    assert names == ["boxcar-4", "boxcar-3", "boxcar-2", "boxcar-1", "boxcar-0"]
    assert "NextToken" not in listed
    failed = db("ListStatements", Status="FAILED")["Statements"]
    assert [entry["StatementName"] for entry in failed] == ["boxcar-broken"]
    same_role, other_role = CALLER.replace("session-1", "session-2"), CALLER.replace("launcher", "reader")
    assert len(db("ListStatements", caller=same_role)["Statements"]) == 5
    assert db("ListStatements", caller=same_role, RoleLevel=False)["Statements"] == []
    assert db("ListStatements", caller=other_role)["Statements"] == []


def test_results_come_in_pages(db):
    db.ok(NUMBERS)
    done = db.ok("SELECT i, i * 0.5 half FROM n ORDER BY i")
    assert done["ResultRows"] == 5000
    first = db("GetStatementResult", Id=done["Id"])
    assert (len(first["Records"]), first["TotalNumRows"]) == (1000, 5000)
    assert [row[0] for row in db.result(done["Id"])] == list(range(1, 5001))
    assert "not one that this result gave" in refused(db, "GetStatementResult", Id=done["Id"], NextToken="x").message


def test_an_empty_result_is_one(db):
    done = db.ok("SELECT 1 a WHERE 1 = 0")
    assert (done["HasResultSet"], done["ResultRows"]) == (True, 0)
    assert db.result(done["Id"]) == []


def test_what_gives_no_result_has_none(db):
    done = db.ok("CREATE TABLE t (a INT)")
    assert refused(db, "GetStatementResult", Id=done["Id"]).message.startswith("Query does not have result")


def test_statements_are_forgotten_after_a_day(db, cloud):
    done = db.ok("SELECT 1")
    cloud.clock.now += 25 * 3600
    db.ok("SELECT 2")
    assert refused(db, "DescribeStatement", Id=done["Id"]).code == "ResourceNotFoundException"


# Events


def test_an_event_tells_the_end_if_asked_to(db, cloud):
    done = db.ok("SELECT 1 UNION ALL SELECT 2", WithEvent=True, StatementName="unload-r1")
    until(lambda: cloud.events)
    (event,) = cloud.events
    assert (event["source"], event["detail-type"]) == ("aws.redshift-data", "Redshift Data Statement Status Change")
    assert event["resources"] == ["arn:aws:redshift-serverless:eu-west-1:123456789012:workgroup/boxcar"]
    detail = event["detail"]
    assert detail.pop("redshiftQueryId") > 0
    assert 86_000 < detail.pop("expireAt") - done["CreatedAt"] <= 86_400
    assert detail == {
        "principal": CALLER, "statementName": "unload-r1", "statementId": done["Id"], "state": "FINISHED", "rows": 2
    }  # fmt: skip


def test_a_failure_has_an_event_and_silence_has_none(db, cloud):
    db.run("SELECT broken")
    failed = db.wait(
        db(
            "ExecuteStatement",
            Sql="SELECT broken",
            WithEvent=True,
            ClusterIdentifier="reporting",
            DbUser="bob",
            Database="dev",
        )["Id"]
    )
    until(lambda: cloud.events)
    (event,) = cloud.events
    assert (event["detail"]["statementId"], event["detail"]["state"]) == (failed["Id"], "FAILED")
    assert event["resources"] == ["arn:aws:redshift:eu-west-1:123456789012:cluster:reporting"]
    assert "statementName" not in event["detail"]


# Stopping


def test_a_running_statement_can_be_cancelled(db, cloud):
    db.ok(NUMBERS)
    identifier = db.start(SLOW, WithEvent=True)
    until(lambda: db("DescribeStatement", Id=identifier)["Status"] == "STARTED")
    time.sleep(0.1)
    assert db("CancelStatement", Id=identifier) == {"Status": True}
    done = db.wait(identifier)
    assert done["Status"] == "ABORTED"
    until(lambda: cloud.events)
    assert cloud.events[0]["detail"]["state"] == "ABORTED"
    assert "already in ABORTED state" in refused(db, "CancelStatement", Id=identifier).message


def test_what_a_cancelled_batch_did_is_undone(db):
    db.ok(NUMBERS)
    identifier = db("BatchExecuteStatement", Sqls=["CREATE TABLE t AS SELECT 1 a", SLOW, "SELECT 1"], **WORKGROUP)["Id"]
    until(lambda: db("DescribeStatement", Id=f"{identifier}:2")["Status"] == "STARTED")
    time.sleep(0.1)
    db("CancelStatement", Id=identifier)
    done = db.wait(identifier)
    assert (done["Status"], [part["Status"] for part in done["SubStatements"]]) == (
        "ABORTED",
        ["FINISHED", "ABORTED", "ABORTED"],
    )
    assert "does not exist" in db.error("SELECT * FROM t")


# Batches


def test_a_batch_is_one_transaction(db):
    db.ok("CREATE TABLE t AS SELECT 1 a")
    done = db.batch("DELETE FROM t", "SELECT broken FROM t", "SELECT 1")
    assert done["Status"] == "FAILED"
    assert done["Error"].startswith('Query #2 failed with ERROR: column "broken" does not exist')
    assert [part["Status"] for part in done["SubStatements"]] == ["FINISHED", "FAILED", "ABORTED"]
    assert db.rows("SELECT COUNT(*) FROM t") == [(1,)]


def test_a_batch_that_commits_each_part_goes_on_after_a_failure(db):
    db.ok("CREATE TABLE t AS SELECT 1 a")
    done = db.batch("DELETE FROM t", "SELECT broken FROM t", "INSERT INTO t VALUES (5)", ExecutionMode="AUTO_COMMIT")
    assert done["Status"] == "FAILED"
    assert [part["Status"] for part in done["SubStatements"]] == ["FINISHED", "FAILED", "FINISHED"]
    assert db.rows("SELECT a FROM t") == [(5,)]


def test_parts_of_a_batch_have_their_own_results(db):
    done = db.batch(
        "SELECT :x::INT a", "CREATE TABLE t (a INT)", "SELECT 2 b", Parameters=[{"name": "x", "value": "7"}]
    )
    assert done["HasResultSet"] is True
    assert db.result(done["Id"] + ":1") == [(7,)]
    assert db.result(done["Id"]) == [(2,)]
    assert refused(db, "GetStatementResult", Id=done["Id"] + ":2").code == "ResourceNotFoundException"


def test_a_batch_takes_forty_statements_at_most(db):
    error = refused(db, "BatchExecuteStatement", Sqls=["SELECT 1"] * 41, **WORKGROUP)
    assert "less than or equal to 40" in error.message


def test_truncate_commits_the_transaction_it_is_in(db):
    db.ok("CREATE TABLE t AS SELECT 1 a")
    assert db.batch("TRUNCATE t", "SELECT broken")["Status"] == "FAILED"
    assert db.rows("SELECT COUNT(*) FROM t") == [(0,)]


# Sessions


def test_a_session_keeps_its_temporary_tables_and_its_transaction(db):
    first = db("ExecuteStatement", Sql="CREATE TEMP TABLE t AS SELECT 1 a", SessionKeepAliveSeconds=60, **WORKGROUP)
    session = {"SessionId": first["SessionId"]}
    db.wait(first["Id"])
    db.ok("BEGIN", **session)
    db.ok("INSERT INTO t VALUES (2)", **session)
    db.ok("ROLLBACK", **session)
    assert db.rows("SELECT a FROM t", **session) == [(1,)]
    described = db.ok("SELECT 1", **session)
    assert (described["SessionId"], described["WorkgroupName"]) == (first["SessionId"], "boxcar")
    assert "does not exist" in db.error("SELECT a FROM t")


def test_a_session_runs_one_statement_at_a_time_and_ends_when_idle(db, cloud):
    db.ok(NUMBERS)
    first = db("ExecuteStatement", Sql=SLOW, SessionKeepAliveSeconds=60, **WORKGROUP)
    busy = refused(db, "ExecuteStatement", Sql="SELECT 1", SessionId=first["SessionId"])
    assert f"runs statement {first['Id']}" in busy.message
    assert [one["Status"] for one in db("ListSessions")["Sessions"]] == ["BUSY"]
    until(lambda: db("DescribeStatement", Id=first["Id"])["Status"] == "STARTED")
    time.sleep(0.1)
    db("CancelStatement", Id=first["Id"])
    db.wait(first["Id"])
    assert db.rows("SELECT 1", SessionId=first["SessionId"]) == [(1,)]
    cloud.clock.now += 61
    assert (
        "does not exist or has expired"
        in refused(db, "ExecuteStatement", Sql="SELECT 1", SessionId=first["SessionId"]).message
    )
    assert db("ListSessions")["Sessions"] == []


# What there is


def test_catalog(db):
    db.batch(
        "CREATE SCHEMA stage",
        "CREATE TABLE stage.orders (a INT)",
        "CREATE TABLE items (a INT, b VARCHAR(5) NOT NULL)",
        "CREATE VIEW totals AS SELECT 1 a",
    )
    assert db("ListDatabases", **WORKGROUP) == {"Databases": ["dev"]}
    assert {"public", "stage"} <= set(db("ListSchemas", **WORKGROUP)["Schemas"])
    assert db("ListSchemas", SchemaPattern="sta%", **WORKGROUP)["Schemas"] == ["stage"]
    assert db("ListTables", **WORKGROUP)["Tables"] == [
        {"schema": "public", "name": "items", "type": "TABLE"},
        {"schema": "public", "name": "totals", "type": "VIEW"},
        {"schema": "stage", "name": "orders", "type": "TABLE"},
    ]
    page = db("ListTables", MaxResults=2, **WORKGROUP)
    assert len(db("ListTables", MaxResults=2, NextToken=page["NextToken"], **WORKGROUP)["Tables"]) == 1
    columns = db("DescribeTable", Table="items", **WORKGROUP)["ColumnList"]
    assert [(c["name"], c["typeName"], c["nullable"], c["length"]) for c in columns] == [
        ("a", "int4", 1, 0),
        ("b", "varchar", 0, 5),
    ]
    assert "does not exist" in refused(db, "DescribeTable", Table="nothing", **WORKGROUP).message


def test_databases_are_apart(db):
    db.ok("CREATE TABLE t AS SELECT 1 a")
    done = db.run("SELECT * FROM t", Database="other")
    assert 'relation "t" does not exist' in done["Error"]
    assert db("ListDatabases", **WORKGROUP) == {"Databases": ["dev", "other"]}
    assert db.run("SELECT 1", Database="../evil")["Error"] == 'FATAL: database "../evil" does not exist'


# Restarts


def test_data_statements_and_results_survive_a_restart(db, cloud):
    db.ok("CREATE TABLE t AS SELECT 1 a")
    done = db.ok("SELECT a FROM t")
    db.service.close()
    db.service = RedshiftData(cloud, default_role=ROLE)
    assert db.result(done["Id"]) == [(1,)]
    assert db.rows("SELECT a FROM t") == [(1,)]


@pytest.mark.parametrize("bus_down", [0, 1])
def test_what_a_kill_left_unfinished_is_aborted_with_an_event(db, cloud, bus_down):
    """close() leaves the same as a kill: the record says STARTED, the transaction is gone."""
    db.ok(NUMBERS)
    identifier = db("BatchExecuteStatement", Sqls=["DELETE FROM n WHERE i = 1", SLOW], WithEvent=True, **WORKGROUP)[
        "Id"
    ]
    until(lambda: db("DescribeStatement", Id=f"{identifier}:2")["Status"] == "STARTED")
    db.service.close()
    assert cloud.events == []
    cloud.bus_down = bus_down
    db.service = RedshiftData(cloud, default_role=ROLE)
    done = db("DescribeStatement", Id=identifier)
    assert (done["Status"], done["Error"]) == ("ABORTED", "The warehouse was restarted")
    until(lambda: cloud.events)
    assert [event["detail"]["state"] for event in cloud.events] == ["ABORTED"]
    assert db.rows("SELECT COUNT(*) FROM n") == [(5000,)]


def test_statements_wait_for_their_turn(db):
    """More than run at once: the rest waits as SUBMITTED, none is lost."""
    ids = [db.start(f"SELECT {number}") for number in range(30)]
    assert {db.wait(identifier)["Status"] for identifier in ids} == {"FINISHED"}


KILLED = """
import sys, time
from pathlib import Path
from tests.unit.redshift.conftest import Caller, FakeCloud, WORKGROUP
from local.redshift.service import RedshiftData

cloud = FakeCloud(Path(sys.argv[1]))
db = Caller(cloud, RedshiftData(cloud))
db.ok({numbers!r})
identifier = db("BatchExecuteStatement", Sqls=["DELETE FROM n", "INSERT INTO n VALUES (1)", "SELECT 1", {slow!r}], WithEvent=True, **WORKGROUP)["Id"]
while db("DescribeStatement", Id=identifier + ":3")["Status"] != "FINISHED":
    time.sleep(0.01)
print(identifier, flush=True)
time.sleep(60)
"""


def test_a_kill_in_the_middle_of_a_batch_leaves_what_was_there(tmp_path):
    """No handler runs at a SIGKILL: what is on the disk must do."""
    numbers = "CREATE TABLE n AS WITH RECURSIVE r (i) AS (SELECT 1::BIGINT UNION ALL SELECT i + 1 FROM r WHERE i < 50) SELECT i FROM r"
    slow = "SELECT COUNT(*) FROM svv_columns a, svv_columns b, svv_columns c, svv_columns d, svv_columns e, svv_columns f, svv_columns g"
    script = KILLED.format(numbers=numbers, slow=slow)
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    identifier = process.stdout.readline().strip()
    process.kill()
    process.wait()
    cloud = FakeCloud(tmp_path)
    db = Caller(cloud, RedshiftData(cloud))
    assert db("DescribeStatement", Id=identifier)["Status"] == "ABORTED"
    until(lambda: cloud.events)
    assert (cloud.events[0]["detail"]["statementId"], cloud.events[0]["detail"]["state"]) == (identifier, "ABORTED")
    assert db.rows("SELECT COUNT(*) FROM n") == [(50,)]
    db.service.close()
