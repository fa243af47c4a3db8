import json
import re
import sys
from datetime import UTC, datetime, timedelta
from types import ModuleType

import pytest

from cli.jobs.figures import figures_of, moment, quantile
from cli.jobs.stats import jobs_of, read_prices
from cli.jobs.stats_page import render
from tests.unit.cli.conftest import NOW, document, iso
from tests.unit.reports.test_page import EVIL, Page

DAY = datetime(2026, 3, 10, 12, tzinfo=UTC)


def job(name, day=0, wait=60, run=600, status="Completed", **more):
    created = DAY + timedelta(days=day)
    started, ended = created + timedelta(seconds=wait), created + timedelta(seconds=wait + run)
    times = {"created_at": iso(created), "started": iso(started), "ended": iso(ended)}
    figures = {"seconds": float(run), "billable_seconds": float(run), "attempt": 1}
    return document(name, status=status, **{**times, **figures, **more})


def test_quantiles_are_interpolated():
    assert quantile([], 0.5) is None
    assert quantile([3.0], 0.95) == 3
    assert quantile([4, 1, 3, 2], 0.5) == 2.5
    assert quantile(list(range(101)), 0.95) == 95


@pytest.mark.parametrize(
    "value", ["2026-03-10T12:00:00.000Z", "2026-03-10T12:00:00+00:00", DAY, DAY.replace(tzinfo=None), DAY.timestamp()]
)
def test_times_of_the_api_and_of_the_archive_are_alike(value):
    assert moment(value) == DAY.timestamp()


def test_figures_by_day_have_no_gaps_and_leave_out_other_days():
    jobs = [
        job("a"),
        job("b", 2, status="Failed", failure="AlgorithmError"),
        job("c", 2, status="InProgress"),
        job("d", 9),
    ]
    statistics = figures_of(jobs, DAY.date(), DAY.date() + timedelta(days=3))
    assert [figures.jobs for figures in statistics.trend] == [1, 0, 2, 0]
    assert [group.name for group in statistics.groups] == ["2026-03-10", "2026-03-12"]
    assert dict(statistics.whole.outcomes) == {"Completed": 1, "Failed": 1, "open": 1}
    assert statistics.trend[2].failures == {"AlgorithmError": 1}


def test_waiting_of_a_job_that_was_retried_is_not_made_up():
    once, twice = job("a", wait=60), job("b", wait=4000, attempt=2)
    assert figures_of([once, twice], DAY.date(), DAY.date()).whole.waits == [60]


def test_hours_count_every_instance_and_money_only_what_has_a_price():
    jobs = [
        job("a", run=3600, units=2, instance_type="ml.m5.large"),
        job("b", run=3600, billable_seconds=1800.0, instance_type="ml.g5.xlarge"),
        job("c", run=3600, kind="statement", instance_type="statement"),
    ]
    told = figures_of(jobs, DAY.date(), DAY.date()).whole.as_json({"ml.m5.large": 0.5})
    assert told["instance_hours"] == {"ml.m5.large": 2.0, "ml.g5.xlarge": 0.5}
    assert (told["usd"], told["unpriced"]) == (1.0, ["ml.g5.xlarge"])
    assert figures_of(jobs, DAY.date(), DAY.date()).whole.as_json({})["usd"] is None


def test_a_long_time_is_shown_by_weeks():
    first = DAY.date() - timedelta(days=99)
    statistics = figures_of([job("a"), job("b", -99), job("c", -93), job("d", -92)], first, DAY.date())
    assert statistics.weekly and len(statistics.trend) == 15
    assert [figures.jobs for figures in statistics.trend][:2] == [2, 1] and statistics.trend[-1].jobs == 1


def test_the_table_and_the_json(boxcar_jobs, fake, tmp_path):
    fake.page = 100
    times = {"created_at": iso(NOW), "started": iso(NOW + timedelta(seconds=30)), "attempt": 1}
    fake.add("a", status="Completed", seconds=3600, billable_seconds=3600, **times)
    fake.add("b", status="Failed", seconds=10, billable_seconds=10, failure="AlgorithmError", owner="ben", **times)
    prices = tmp_path / "prices.csv"
    prices.write_text("instance_type,usd_per_hour\nml.m5.large,0.5\n")
    done = boxcar_jobs("stats", "--by", "owner", "--prices", prices)
    assert done.exit_code == 0, done.output
    for words in ("2 jobs: 1 completed, 1 failed.", "50.0% of those", "ann", "ben", "$0.50", "AlgorithmError", "30 s"):
        assert words in done.output, words
    told = json.loads(boxcar_jobs("stats", "--by", "owner", "--json").stdout)
    assert [group["name"] for group in told["groups"]] == ["ann", "ben"]
    assert told["all"]["wait_median_s"] == 30 and len(told["trend"]) == 7
    assert boxcar_jobs("stats", "--owner", "nobody").output.strip().endswith("No job was submitted.")


def test_a_page_is_written(boxcar_jobs, fake, tmp_path):
    fake.add("a", status="Completed", attempt=1, started=iso(NOW))
    file = tmp_path / "stats.html"
    assert str(file) in boxcar_jobs("stats", "--page", file).output
    assert "<svg" in file.read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("type,usd\nml.m5.large,1\n", ":1: has no column instance_type, usd_per_hour"),
        ("instance_type,usd_per_hour\nml.m5.large,1\nml.x,free\n", ":3: usd_per_hour: 'free' is not a price"),
        ("instance_type,usd_per_hour\nml.m5.large,-1\n", ":2: usd_per_hour: '-1' is not a price"),
        ("instance_type,usd_per_hour\nml.m5.large\n", ":2: usd_per_hour: None is not a price"),
    ],
)
def test_bad_prices_are_named_by_file_and_line(tmp_path, text, words):
    file = tmp_path / "prices.csv"
    file.write_text(text)
    with pytest.raises(Exception, match=re.escape(f"{file}{words}")):
        read_prices(file)


@pytest.fixture(autouse=True)
def archive(monkeypatch):
    """What the archive is asked for, and what it answers."""
    module = ModuleType("cli.job_history")
    module.asked, module.jobs = [], []

    def read_archived(session, first_day, last_day):
        module.asked.append((first_day, last_day))
        return module.jobs

    module.read_archived = read_archived
    monkeypatch.setitem(sys.modules, "cli.job_history", module)
    return module


def test_jobs_come_from_the_table_and_the_archive_and_none_counts_twice(fake, archive):
    """Around the end of its time a job may be in the table, in the archive, or in both."""
    today = NOW.date()
    both = fake.add("both", created_at=iso(NOW - timedelta(days=95)))
    fake.add("late", created_at=iso(NOW - timedelta(days=95)))
    archive.jobs = [both, document("old", created_at=iso(NOW - timedelta(days=150))), document("bens", owner="ben")]
    fake.page = 50
    first = today - timedelta(days=199)
    names = [job["run"] for job in jobs_of(fake, first, today, owner="ann")]
    assert sorted(names) == ["ann/both", "ann/late", "ann/old"]
    assert archive.asked == [(first, today)]
    assert sum(query["days"] for _, _, query in fake.calls) == 200


def page_of(jobs, prices=None, by="owner", days=3):
    statistics = figures_of(jobs, DAY.date(), DAY.date() + timedelta(days=days), by)
    return render(statistics, prices or {}, {"Stack": "boxcar"}, DAY)


def test_a_page_needs_nothing_but_itself():
    text = page_of([job("a"), job("b", status="Failed", failure="ClientError")], {"ml.m5.large": 1.0})
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(page.tags)
    assert not [a for a in page.attributes if a[1].startswith("on")]
    assert all(value.startswith("#") for _, name, value in page.attributes if name in ("src", "href", "xlink:href"))
    assert "default-src 'none'" in text and "url(" not in text and "@import" not in text
    for words in ("Outcomes", "Waiting", "Running", "Failures by class", "Instance hours", "Cost in US dollars", "ann"):
        assert words in page.text, words


def test_markup_in_data_stays_data():
    evil = [job("a", status="Failed", failure=EVIL, owner=EVIL, instance_type=EVIL)]
    page = Page(page_of(evil, {EVIL: 1.0}))
    assert "script" not in page.tags and page.text.count("alert('x')") >= 3


def test_a_page_without_jobs_says_so():
    page = Page(page_of([]))
    assert "No job was submitted." in page.text and "svg" not in page.tags


def test_a_page_without_prices_shows_no_money_and_says_why():
    page = Page(page_of([job("a")]))
    assert "Cost" not in page.text and "No prices were given" in page.text
    assert "no price for ml.m5.large" in Page(page_of([job("a")], {"ml.c5.large": 1})).text


def test_more_kinds_of_failure_than_colours_are_added_up():
    jobs = [job(f"j{n}-{k}", status="Failed", failure=f"Class{n}") for n in range(12) for k in range(13 - n)]
    page = Page(page_of(jobs))
    legend = page.text[page.text.index("Failures by class") :]
    assert "others" in legend


def test_times_are_drawn_in_the_unit_that_fits():
    assert " h</text>" in page_of([job("a", run=40_000)])
    assert " s</text>" in page_of([job("a", wait=1, run=20)])
