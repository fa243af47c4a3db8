"""Pages of reports in a real browser: what they draw is there, on a phone as on a screen."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from boxcar.benchmarks.story import render as benchmark_page
from boxcar.benchmarks.story import tell as tell_benchmark
from boxcar.serving.judging import Answers, Seen, Traffic, judge_shadow
from boxcar.serving.planning import ReleasePlan
from boxcar.serving.records import Live, Trial
from boxcar.serving.spec import Serving
from boxcar.serving.trial_report import render as trial_page
from boxcar.serving.trial_report import tell as tell_trial
from tests.browser import EXECUTABLE, Browser
from tests.unit.benchmarks.documents import facts_of, load_test, plan_of

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="there is no Chromium on this machine: make setup-browser")
NOW = 1_795_723_000.0
PHONE, SCREEN = 390, 1280


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    made = Browser(tmp_path_factory.mktemp("profile"), width=PHONE)
    yield made
    made.close()


@pytest.fixture(params=[PHONE, SCREEN], ids=["phone", "screen"])
def shown(request: pytest.FixtureRequest, browser: Browser, tmp_path: Path) -> Any:
    """Open a page, and see that nobody has to scroll sideways."""

    def show(page: str) -> Browser:
        file = tmp_path / "index.html"
        file.write_text(page)
        browser.resize(request.param, 844)
        browser.open(file.as_uri())
        browser.screenshot(tmp_path / "page.png")
        assert browser.evaluate("document.documentElement.scrollWidth") <= request.param
        return browser

    return show


def curve(rate: float, p99: float) -> list[dict[str, Any]]:
    shares = (0.25, 0.5, 0.75, 1.0, 1.1)
    return [
        {"rate": rate * s, "throughput": rate * min(s, 1.02), "p50": p99 * s / 3, "p99": p99 * s**3, "met": s <= 1}
        for s in shares
    ]


def test_a_benchmark_draws_its_curves_and_says_how_each_row_was_had(shown: Any) -> None:
    targets = [{"name": "realtime", "scenario": "server", "rate": 16000, "p99_ms": 10}]
    plan = plan_of(backends=["openvino", "torch", "neuronx"], sequences=[32], backbone="base", targets=targets)
    documents = {
        name: load_test(rate, p99, curve=curve(rate, p99))
        for name, rate, p99 in (("openvino", 900, 9), ("torch", 300, 9))
    }
    report = tell_benchmark(facts_of(plan, **documents), [], None, NOW)
    browser = shown(benchmark_page(report))
    words = browser.evaluate("document.body.innerText")
    assert report["targets"][0]["recommendation"]["sentence"] in words
    assert "measured" in words and "openvino" in words
    lines = "[...document.querySelectorAll('svg path')].filter(p => p.getTotalLength() > 50).length"
    assert browser.evaluate(lines) >= 2
    width = "Math.max(...[...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect().width))"
    assert browser.evaluate(width) > 200


def test_a_trial_shows_both_versions_and_their_scores(shown: Any) -> None:
    serving = Serving.model_validate({"shadow": {}})
    plan = ReleasePlan(
        run="packaging-box-1", family="packaging", owner="science", model="box", version="1.0.3", source="api",
        endpoint="boxcar-packaging-box", serving=serving, requested_by="Ann", deploy_timeout_s=4500,
    )  # fmt: skip
    trial = Trial(kind="shadow", version="1.0.3", config="c", run=plan.run, since=NOW - 86400)
    live = Live(version="1.0.2", config="b", run="r", since="2026-11-20T10:00:00+00:00", number=2)
    scores = {str(place): 40 * (place + 1) for place in range(20)}
    answers = Answers(8400, 8310, scores, {**scores, "19": 900}, 0.0123)
    seen = Seen(Traffic(8412, 0, 11.2), Traffic(8400, 3, 12.9), answers)
    assert serving.shadow
    judged = judge_shadow(serving.shadow, seen, over=True)
    report = tell_trial(plan, trial, live, seen, judged, NOW)
    browser = shown(trial_page(report))
    words = browser.evaluate("document.body.innerText")
    for part in (
        "packaging/box 1.0.3 beside 1.0.2",
        "takes the place of the version before",
        "8,412",
        "98.9%",
        "0.0123",
    ):
        assert part in words, part
    assert browser.evaluate("document.querySelectorAll('svg rect').length") >= 40
