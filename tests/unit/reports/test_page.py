import re
from html.parser import HTMLParser

import pytest

from boxcar.reports.charts import history_chart, label_chart
from boxcar.reports.page import render
from boxcar.reports.story import tell
from boxcar.reports.timeline import timeline
from tests.unit.reports.conftest import BEGIN, failed_run, partial_run, unplanned_run, whole_run

VOID = {"meta", "br", "line", "rect", "path", "circle", "link", "img"}
EVIL = "<script>alert('x')</script>"


class Page(HTMLParser):
    """Tags, attributes and visible text; complains about tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data):
        if not self._open or self._open[-1] not in ("style",):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page_of(facts, results, error=None) -> Page:
    return Page(render(tell(facts, results, error, BEGIN + 380)))


@pytest.mark.parametrize("run", [whole_run, partial_run, failed_run, unplanned_run], ids=lambda run: run.__name__)
def test_a_page_needs_nothing_but_itself(run):
    page = page_of(*run())
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(page.tags)
    assert not [a for a in page.attributes if a[1].startswith("on")]
    addresses = [value for _, name, value in page.attributes if name in ("src", "href", "xlink:href", "action")]
    assert all(address.startswith("#") for address in addresses)
    text = render(tell(*run()[:2], run()[2] if len(run()) > 2 else None, BEGIN + 380))
    assert set(re.findall(r"https?://[^\"' )<]+", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "@import" not in text and "url(" not in text
    assert "default-src 'none'" in text


def test_a_page_says_what_became_of_each_model():
    page = page_of(*whole_run())
    for words in (
        "packaging",
        "succeeded",
        "0.9051 → 0.8423",
        "rejected",
        "Wave 2",
        "own_container",
        "2 attempts",
        "0.337",
    ):
        assert words in page.text, words


def test_a_failed_step_is_named_in_words_not_by_colour_alone():
    page = page_of(*partial_run())
    assert "AlgorithmError" in page.text and "not started" in page.text and "partial" in page.text


def test_markup_in_data_stays_data():
    facts, results = whole_run()
    model = facts.models["mailer"]
    model.verdict = model.verdict.model_copy(
        update={"labels": {EVIL: 3, "0": 9}, "reasons": [EVIL], "metric": EVIL, "compared_with": EVIL}
    )
    model.evaluation = model.evaluation.model_copy(update={"importances": {EVIL: 1.0}, "scores": {EVIL: 0.5}})
    model.history = [{**version, "version": EVIL, "metrics": {EVIL: 0.5}} for version in model.history]
    facts.jobs[0] |= {"status": "Failed", "failure": EVIL, "kind": EVIL}
    facts.jobs.append({**facts.jobs[1], "model": EVIL, "step": EVIL})
    facts.notes = [EVIL]
    results[0][1] = {"model": "bag", "status": EVIL, "error": EVIL, "cause": EVIL, "version": EVIL}
    page = page_of(facts, results, {"error": EVIL, "cause": EVIL})
    assert "script" not in page.tags
    assert page.text.count("alert('x')") > 10


def test_an_unreadable_or_strange_job_does_not_spoil_the_page():
    facts, results = whole_run()
    facts.jobs += [{"pk": "job#x"}, {"model": "box", "step": "extra", "created": "not a time", "attempts": "2"}]
    assert "extra" in page_of(facts, results).text


def test_bars_lie_inside_the_axis_and_short_ones_stay_visible():
    facts, results = whole_run()
    drawn = timeline(tell(facts, results, None, BEGIN + 380))
    bars = [
        bar
        for group in drawn["groups"]
        for row in group["rows"]
        for bar in re.findall(r'x="([\d.]+)%".*?width="([\d.]+)%"', row["bars"])
    ]
    assert len(bars) > 30
    assert all(float(x) >= 0 and float(x) + float(width) <= 100.01 for x, width in bars)
    assert [group["model"] for group in drawn["groups"]] == ["", "mailer", "bag", "box", "own_container"]
    assert len(drawn["ticks"]) >= 3


def test_charts_of_nothing_are_left_out():
    assert label_chart({}, {}) is None
    assert history_chart([], "roc_auc") is None
    assert history_chart([{"version": "1.0.0", "status": "Approved", "score": None}], "roc_auc") is None


def test_charts_hold_the_figures():
    assert "75.0 %" in label_chart({"0": 75, "1": 25}, {"0": 1, "1": 1})
    one = history_chart([{"version": "1.0.0", "status": "Rejected", "score": 0.9}], "roc_auc")
    assert "1.0.0" in one and "<script" not in one


def test_steps_from_the_cache_say_so_and_what_they_saved():
    facts, results = whole_run()
    train = next(job for job in facts.jobs if (job["model"], job["step"]) == ("bag", "train"))
    train |= {"caching": {"outcome": "hit", "job": "j", "run": "w12", "saved_s": 82.0}, "attempts": [], "started": None}
    report = tell(facts, results, None, BEGIN + 380)
    assert report["saved_s"] == 82.0
    words = " ".join(Page(render(report)).words)
    assert "cached, 1 min 22 s saved" in words and "Saved by the cache 1 min 22 s" in words
