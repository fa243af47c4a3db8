import json
from datetime import timedelta

import pytest

from cli.jobs.calls import find, why_ended
from tests.unit.cli.conftest import NOW, iso


def failed(fake, name="trees", **more):
    attempts = [
        {"number": 1, "name": "x-1", "arn": "", "pool": "training/ml.m5.large", "instance_type": "ml.m5.large", "units": 1,
         "launched": iso(NOW), "started": iso(NOW), "ended": iso(NOW + timedelta(seconds=61)), "billable_seconds": 61,
         "failure": "AlgorithmError", "reason": "AlgorithmError: exit code 1"},
    ]  # fmt: skip
    times = {"started": iso(NOW + timedelta(seconds=30)), "ended": iso(NOW + timedelta(seconds=91))}
    why = {"failure": "AlgorithmError", "reason": "AlgorithmError: exit code 1"}
    return fake.add(name, status="Failed", attempt=1, attempts=attempts, **times, **why, **more)


def test_a_job_is_found_by_id_by_name_and_by_the_beginning_of_its_id(fake):
    job = fake.add("trees-7")
    fake.add("trees-8")
    assert find(fake, job["job"])["job"] == job["job"]
    assert find(fake, "trees-7")["job"] == job["job"]
    assert find(fake, job["job"][:-1])["job"] == job["job"]
    assert find(fake, "trees-7", "ann")["job"] == job["job"]


def test_the_name_of_another_owner_is_not_ones_own(fake):
    job = fake.add("trees", owner="ben")
    assert find(fake, "trees", "ben")["job"] == job["job"]
    with pytest.raises(Exception, match="neither the id of a job, nor the name of one of ann"):
        find(fake, "trees")


def test_an_ambiguous_beginning_lists_what_it_may_mean(fake):
    for number in range(12):
        fake.add(f"trees-{number}")
    with pytest.raises(Exception, match="the beginning of 12 ids") as error:
        find(fake, "boxcar-ann-trees")
    assert "trees-9" in str(error.value) and "and 2 more" in str(error.value)


def test_the_owner_may_be_set_by_the_environment(fake, monkeypatch):
    fake.add("trees", owner="ben")
    monkeypatch.setenv("BOXCAR_OWNER", "ben")
    assert find(fake, "trees")["owner"] == "ben"


def test_a_list_follows_the_pages_and_stops_at_its_limit(boxcar_jobs, fake):
    for number in range(7):
        fake.add(f"trees-{number}", created_at=iso(NOW - timedelta(seconds=number)))
    done = boxcar_jobs("list", "--limit", "5", "--days", "2", "--json")
    assert [json.loads(line)["run"] for line in done.stdout.splitlines()] == [f"ann/trees-{n}" for n in range(5)]
    assert len(fake.calls) == 3, "pages of two: no more than are needed"
    assert "and more; ask for them with --limit" in boxcar_jobs("list", "--limit", "5", "--days", "2").output


def test_a_list_of_more_than_a_month_asks_month_by_month(boxcar_jobs, fake):
    fake.add("old", created_at=iso(NOW - timedelta(days=40)))
    fake.add("new")
    done = boxcar_jobs("list", "--days", "60", "--json")
    assert [json.loads(line)["run"] for line in done.stdout.splitlines()] == ["ann/new", "ann/old"]
    assert [query["days"] for _, _, query in fake.calls] == [31, 29]
    assert fake.calls[0][2]["day"] == NOW.date().isoformat()
    assert fake.calls[1][2]["day"] == (NOW.date() - timedelta(days=31)).isoformat()


def test_lists_by_status_tag_sweep_and_owner(boxcar_jobs, fake):
    fake.add("a", status="Completed", tags={"x": "1"}, sweep="s")
    fake.add("b", status="InProgress", tags={"x": "2"}, sweep="s")
    fake.add("c", status="New", owner="ben", waiting_for="ResourceLimitExceeded")
    fake.page = 50

    def names(*arguments):
        return [json.loads(line)["run"] for line in boxcar_jobs("list", "--json", *arguments).stdout.splitlines()]

    assert names("--status", "open") == ["ann/b", "ben/c"]
    assert names("--status", "completed", "--status", "New") == ["ann/a", "ben/c"]
    assert names("--tag", "x=2") == ["ann/b"]
    assert names("--sweep", "s", "--owner", "ann") == ["ann/a", "ann/b"]
    assert fake.calls[-1][2]["sweep"] == "s"
    table = boxcar_jobs("list").output
    assert "ResourceLimitExceeded" in table and table.count("\n") == 4
    assert "is not a status; write one of New" in boxcar_jobs("list", "--status", "done").output
    assert "no such job was submitted in 7 days" in boxcar_jobs("list", "--owner", "nobody").output


def test_show_tells_attempts_and_why_it_failed(boxcar_jobs, fake):
    failed(fake, inputs={"train": "s3://data/x/"}, document={"name": "train", "config": {"depth": 3}}, tags={"a": "b"})
    done = boxcar_jobs("show", "trees")
    assert done.exit_code == 0, done.output
    for words in (
        "trees  Failed",
        "depth=3",
        "a=b",
        "s3://data/x/",
        "AlgorithmError: exit code 1",
        "1 min 1 s",
        "30 s",
    ):
        assert words in done.output, words
    assert json.loads(boxcar_jobs("show", "trees", "--json").stdout)["run"] == "ann/trees"


def test_markup_in_names_and_reasons_is_shown_as_it_is(boxcar_jobs, fake):
    failed(fake, tags={"t": "[red]x[/red] [/]"}, owner="ann")
    fake.jobs[next(iter(fake.jobs))]["reason"] = "list index [0] of [bold]"
    for command in (("show", "trees"), ("list",)):
        done = boxcar_jobs(*command)
        assert done.exit_code == 0, done.output
    assert "[red]x[/red] [/]" in boxcar_jobs("show", "trees").output
    assert "list index [0] of [bold]" in boxcar_jobs("show", "trees").output


def test_explain_says_the_reason_and_what_to_do(boxcar_jobs, fake):
    told = {
        "text": "Failed after 2 attempts: AlgorithmError.",
        "failure": {"reason": "exit code 1", "done": "Tried it again.", "action": "Read the log.", "failure": "x", "meaning": "", "attempts": 2},
        "next": [{"at": None, "what": "nothing by itself"}, {"at": "2026-01-02T03:04:05.000Z", "what": "its record moves"}],
    }  # fmt: skip
    fake.add("trees", status="Failed", explanation=told)
    done = boxcar_jobs("explain", "trees")
    for words in (
        "Failed after 2 attempts",
        "Reason: exit code 1",
        "What to do: Read the log.",
        "next: nothing",
        "2026-01-02 03:04:05: its",
    ):
        assert words in done.output, words
    assert fake.calls[-1][2] == {"explain": True}
    assert json.loads(boxcar_jobs("explain", "trees", "--json").stdout) == told


@pytest.mark.parametrize(
    ("failure", "reason", "words"),
    [
        (
            "AlgorithmError",
            "AlgorithmError: ExecuteUserScriptError:\nCommand",
            "AlgorithmError: ExecuteUserScriptError: Command",
        ),
        ("CapacityTimeout", "no machine", "CapacityTimeout: no machine"),
        ("Stopped", "", "Stopped"),
        ("", "", ""),
    ],
)
def test_a_class_of_failure_is_said_once(failure, reason, words):
    assert why_ended({"failure": failure, "reason": reason}) == words


def test_nothing_is_cut_where_there_is_no_terminal(boxcar_jobs, fake):
    job = fake.add("t" * 63, owner="o" * 64, status="New", waiting_for="w" * 200)
    out = boxcar_jobs("list").output
    assert all(text in out for text in (job["job"], "t" * 63, "o" * 64, "w" * 200))


def test_stop_and_retry_of_jobs_and_of_a_sweep(boxcar_jobs, fake):
    fake.add("a", status="InProgress", sweep="s")
    fake.add("b", status="Completed", sweep="s")
    fake.add("c", status="New", sweep="s")
    fake.add("d", status="New", sweep="s", owner="ben")
    done = boxcar_jobs("stop", "--sweep", "s")
    assert done.exit_code == 0 and "2 of 2" in done.output
    assert sorted(job["run"] for job in fake.jobs.values() if job["status"] == "Stopped") == ["ann/a", "ann/c"]
    fake.jobs[find(fake, "c")["job"]]["status"] = "Failed"
    assert "is tried again" in boxcar_jobs("retry", "--sweep", "s", "--failed").output
    assert (find(fake, "c")["status"], find(fake, "a")["status"]) == ("New", "Stopped")
    assert boxcar_jobs("retry", "a").exit_code == 0 and find(fake, "a")["status"] == "New"


def test_what_cannot_be_stopped_does_not_keep_the_others_from_it(boxcar_jobs, fake):
    fake.add("a", status="Completed")
    fake.add("b", status="InProgress")
    done = boxcar_jobs("stop", "a", "b")
    assert done.exit_code == 1
    assert "is Completed" in done.output and "1 of 2" in done.output and find(fake, "b")["status"] == "Stopped"
    told = [json.loads(line) for line in boxcar_jobs("stop", "a", "--json").stdout.splitlines()]
    assert [(one["accepted"], one["status"]) for one in told] == [(False, 409)]


@pytest.mark.parametrize("arguments", [("stop",), ("stop", "a", "--sweep", "s"), ("retry", "a", "--failed")])
def test_stop_needs_either_ids_or_a_sweep(boxcar_jobs, fake, arguments):
    assert boxcar_jobs(*arguments).exit_code == 2 and fake.calls == []


def test_a_job_of_a_sweep_that_ends_before_its_turn_to_be_stopped_is_no_error(boxcar_jobs, fake):
    """A list of a thousand is old when its last job is stopped."""
    for number in range(30):
        fake.add(f"t-{number}", status="New", sweep="s")

    def end_one(method, path):
        if method == "DELETE":
            fake.jobs[find(fake, "t-7")["job"]]["status"] = "Completed"

    def only_once(method, path):
        fake.before = lambda method, path: None
        end_one(method, path)

    fake.before = lambda method, path: only_once(method, path) if method == "DELETE" else None
    done = boxcar_jobs("stop", "--sweep", "s")
    assert done.exit_code == 0 and done.output == "29 of 30; 1 had changed meanwhile\n"


def test_an_empty_sweep_is_no_success(boxcar_jobs, fake):
    assert "no job of ann in sweep 'none' is New or Launched" in boxcar_jobs("stop", "--sweep", "none").output
