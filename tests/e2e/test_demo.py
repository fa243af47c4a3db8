"""`boxcar demo`, whole, and what it leaves: versions, mails, a page in a real browser."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli import retailer
from cli.session import Session
from cli.warehouse import warehouse
from local import server
from local.mailbox import Mailbox
from tests.browser import EXECUTABLE as BROWSER
from tests.e2e.deployed import ROOT, Deployed
from tests.ports import free_port

MODELS = ("mailer", "bag", "box", "own_container")
# Chromium asks its maker's hosts for this and that unless it is told not to.
OPTIONS = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync"


@dataclass
class Demo:
    text: str
    code: int
    state: Path

    @property
    def page(self) -> Path:
        return Path(re.search(r"Report page: *\n?(\S+index\.html)", self.text)[1])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    state = tmp_path_factory.mktemp("demo") / "cloud"
    command = [sys.executable, "-m", "cli", "--state", str(state), "demo", "--port", str(free_port())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, stdin=subprocess.DEVNULL)
    yield Demo(done.stdout + done.stderr, done.returncode, state)
    server.down(state)


@pytest.fixture
def deployed(demo: Demo) -> Deployed:
    return Deployed(Session(stack="boxcar", local=True, state=demo.state))


def test_it_ends_well_and_shows_every_verdict_of_both_weeks(demo: Demo):
    assert demo.code == 0, demo.text
    for week in (13, 14):
        assert f"Verdicts of week {week}" in demo.text
    for model in MODELS:
        assert re.search(rf"^  {model} +1\.0\.0 +– → 0\.\d{{4}} .* (approved|rejected)$", demo.text, re.M), demo.text
        assert re.search(
            rf"^  {model} +1\.0\.1 +0\.\d{{4}} → 0\.\d{{4}} .* \+\d\.\d% .*(approved|rejected)$", demo.text, re.M
        )


def test_every_step_of_every_model_was_shown_with_its_end(demo: Demo):
    for model in MODELS:
        for step, times in {"prepare": 2, "train": 2, "predict": 3, "evaluate": 2, "load": 1}.items():
            assert len(re.findall(rf"^  {model} +{step} +Completed +\d+\.\d s", demo.text, re.M)) == times


def test_own_container_was_trained_after_box_and_with_it(demo: Demo, deployed: Deployed):
    run = deployed.executions()[0]
    jobs = deployed.jobs(run)
    assert jobs["own_container/prepare"]["created"] > jobs["box/evaluate"]["created"]
    approved = deployed.versions("packaging", "box")[0]
    assert jobs["own_container/prepare"]["inputs"]["upstream_box"] == approved["outputs"]["model"]


def test_registry_and_table_agree_on_two_versions_of_each_model(demo: Demo, deployed: Deployed):
    for model in MODELS:
        found = deployed.versions("packaging", model)
        assert [version["version"] for version in found] == ["1.0.1", "1.0.0"]
        assert deployed.disagreements("packaging", model) == []


def test_business_and_science_were_told_of_each_run_once_and_nobody_was_alarmed(demo: Demo, deployed: Deployed):
    """A run with something to decide has a mail of its own; the others are in the digest."""
    mails = Mailbox(demo.state / "mailbox").read()
    for run in deployed.executions():
        told = [mail for mail in mails if "[Boxcar alarm]" not in mail.subject and run in mail.text]
        assert sorted(mail.to for mail in told) == ["business@boxcar.local", "science@boxcar.local"]
        judged = deployed.session.read_json(f"reports/{run}/report.json")["models"]
        routine = all(model["status"] == "approved" for model in judged)
        assert {("digest" if routine else "report") in mail.subject for mail in told} == {True}
    alarms = [mail for mail in mails if "[Boxcar alarm]" in mail.subject]
    assert all("rejected" in mail.subject for mail in alarms), alarms


def test_every_product_has_its_predictions_in_the_warehouse(demo: Demo, deployed: Deployed):
    assert "Recommended packages" in demo.text
    asked = warehouse(deployed.session)
    products = retailer.query(asked, "SELECT COUNT(*) FROM products")[0][0]
    of_models = retailer.query(
        asked,
        "SELECT model, COUNT(*), COUNT(DISTINCT product_id), MIN(model_version), COUNT(DISTINCT run_id) "
        "FROM packaging_predictions GROUP BY model ORDER BY model",
    )
    assert of_models == [[model, products, products, "1.0.1", 1] for model in sorted(MODELS)]
    assert retailer.query(asked, "SELECT COUNT(*) FROM recommended_packages")[0][0] == products


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("runs list", ["SUCCEEDED"]),
        ("models list packaging", ["packaging/own_container", "1.0.1", "*"]),
        ("models show packaging/box", ["packaging/box 1.0.1", "against 1.0.0", "score drop"]),
        ("models compare packaging/bag@1.0.0 packaging/bag@1.0.1", ["roc_auc", "on the same", "data "]),
        ("models lineage packaging/own_container", ["uses: box@1.0.1", "triggers/training/packaging.json", "2 files"]),
        ("families list", ["packaging", "version 1", "own_container"]),
        ("families show packaging", ['"number": 1', '"uses_predictions_of"']),
        ("outputs BucketName", ["boxcar-data-"]),
        ("infer packaging --watch", ["unload", "run succeeded"]),
        ("mails --to science@boxcar.local --full", ["[Boxcar digest]", "own_container"]),
        ("local status", ["it answers at"]),
    ],
)
def test_the_command_shows_what_is_there(demo: Demo, arguments: str, expected: list[str]):
    command = [sys.executable, "-m", "cli", "--local", "--state", str(demo.state), *arguments.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for part in expected:
        assert part in done.stdout


@pytest.mark.skipif(BROWSER is None, reason="no browser on this machine; `make setup-browser` installs one on Debian")
def test_the_report_renders_in_a_browser_and_asks_for_nothing_else(demo: Demo, tmp_path: Path):
    shot = tmp_path / "page.png"
    command = [
        BROWSER, *OPTIONS.split(), f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1200,2000", f"--screenshot={shot}", demo.page.as_uri(),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert shot.stat().st_size > 50_000, "the page is nearly empty"
    dom = subprocess.run(
        [BROWSER, *OPTIONS.split(), f"--user-data-dir={tmp_path / 'p2'}", "--dump-dom", demo.page.as_uri()],
        check=True, capture_output=True, text=True, timeout=60,
    ).stdout  # fmt: skip
    assert "default-src 'none'" in dom, "the page forbids itself every request"
    assert not re.search(r"""<script|<link|<iframe|src=["']?http|url\(["']?http""", dom)
    for part in (*MODELS, "1.0.1", "Labels of own_container", "roc_auc over versions", "<svg"):
        assert part in dom
