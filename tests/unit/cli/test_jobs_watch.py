import io
import json
from datetime import timedelta

from rich.console import Console

from cli.jobs.calls import Wanted
from cli.jobs.watch import Watched, _follow, follow
from tests.unit.cli.conftest import NOW, iso


def watched(fake, **wanted):
    return Watched(fake, Wanted(days=31, owner="ann", **wanted))


def test_lines_are_written_where_there_is_no_terminal_and_it_ends_when_all_have_ended(fake, capsys):
    jobs = [fake.add(f"t-{number}", status="InProgress", started=iso(NOW)) for number in range(3)]
    fake.add("older", status="Completed")
    looks = iter(jobs)

    def later(seconds):
        assert seconds >= 5
        next(looks).update(status="Completed", ended=iso(NOW), seconds=4)

    one = watched(fake)
    one.look()
    assert _follow([one], 5, False, Console(file=io.StringIO()), later) == 0
    out = capsys.readouterr().out
    assert "InProgress 3" in out and "Completed 3" in out and out.count("Completed   4 s") == 3
    assert "older" not in out, "what had ended before is not watched"


def test_a_failed_job_makes_it_exit_with_one(fake, capsys):
    fake.add("t", status="New")
    one = watched(fake)
    one.look()

    def fail(seconds):
        for job in fake.jobs.values():
            job.update(status="Failed", failure="AlgorithmError", reason="exit code 1", ended=iso(NOW))

    assert _follow([one], 1, False, Console(file=io.StringIO()), fail) == 1
    assert "AlgorithmError: exit code 1" in capsys.readouterr().out


def test_a_job_that_is_submitted_while_one_watches_is_watched_too(fake):
    fake.add("t-1", status="New")
    one = watched(fake)
    one.look()
    fake.add("t-2", status="New")
    assert [job["run"] for job in one.look()] == ["ann/t-2"] and one.open == 2


def test_an_index_that_lags_behind_does_not_bring_back_what_has_ended(fake):
    job = fake.add("t", status="Completed", attempt=1)
    one = Watched(fake, Wanted(days=1, owner="ann"), frozenset([job["job"]]))
    one.look()
    fake.jobs[job["job"]] = {**job, "status": "InProgress"}
    assert one.look() == [] and one.open == 0
    fake.jobs[job["job"]] = {**job, "status": "InProgress", "attempt": 2}
    assert one.open == 0 and len(one.look()) == 1 and one.open == 1, "a retry does"


def test_a_job_that_no_list_shows_yet_counts_as_open(fake):
    one = Watched(fake, Wanted(days=1, owner="ann"), frozenset(["boxcar-not-listed-yet"]))
    one.look()
    assert one.open == 1


def test_no_call_is_made_for_a_single_job(fake):
    jobs = [fake.add(f"t-{number}", status="Completed") for number in range(40)]
    fake.page = 200
    assert follow(fake, jobs) == 0
    assert {path for _, path, _ in fake.calls} == {"/jobs"} and len(fake.calls) == 1


def test_a_thousand_changes_are_told_as_counts(fake, capsys):
    jobs = [fake.add(f"t-{number}", status="Completed") for number in range(40)]
    fake.page = 200
    follow(fake, jobs)
    assert capsys.readouterr().out.count("\n") == 1


def test_rate_and_the_time_that_is_left(fake):
    begun = NOW - timedelta(seconds=1200)
    for number in range(30):
        ended = {"status": "Completed", "ended": iso(NOW - timedelta(seconds=10 * number))}
        fake.add(f"t-{number}", created_at=iso(begun), **(ended if number < 20 else {"status": "New"}))
    one = Watched(fake, Wanted(days=2, owner="ann"), frozenset(fake.jobs))
    one.look()
    assert one.per_hour(NOW.timestamp()) == 120, "20 in the last ten minutes"
    assert "120 end an hour, the rest in about 5 min" in one.headline(NOW.timestamp())


def test_json_is_a_line_for_each_change(boxcar_jobs, fake):
    fake.add("t", status="Completed")
    done = boxcar_jobs("watch", "t", "--json")
    assert done.exit_code == 0 and [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["Completed"]


def test_nothing_to_watch_is_said(boxcar_jobs, fake):
    done = boxcar_jobs("watch")
    assert done.exit_code == 0 and "no job of ann is open" in done.output


def test_the_table_of_a_terminal_shows_what_runs_first(fake):
    for number in range(30):
        fake.add(f"t-{number}", status="Completed" if number else "InProgress", started=iso(NOW))
    fake.page = 50
    one = Watched(fake, Wanted(days=1, owner="ann"), frozenset(fake.jobs))
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120, color_system=None)

    def end(seconds):
        for job in fake.jobs.values():
            job["status"] = "Completed"

    assert _follow([one], 1, False, console, end) == 0
    assert "t-0" in out.getvalue() and "… and 15 more" in out.getvalue() and "InProgress 1" in out.getvalue()
