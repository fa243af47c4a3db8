"""A schedule that did not fire, a run that takes twice its usual time: each is told of once, and only if it is true."""

import json
from types import SimpleNamespace

import pytest

from boxcar.alarms.links import Links
from boxcar.alarms.messages import read_message
from boxcar.jobs.monitor import Monitor
from boxcar.jobs.table import JobsTable
from boxcar.settings import Settings
from boxcar.watches import AGAIN_S, PATIENCE_S, Watches
from tests.unit.alarms.conftest import TABLE, Path

LINKS = Links("https://console.test", "eu-west-1", "boxcar-data", "boxcar", "123456789012")
CHECK = {"kind": "schedule_check", "schedule": "boxcar-weekly-training", "scheduled_at": "2026-01-05T05:00:00Z"}
ARN = "arn:aws:states:eu-west-1:123456789012:execution:boxcar-training:"


class World:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.watches = Watches(path.dynamodb, TABLE)
        self.status: dict[str, str] = {}
        self.jobs: dict[str, list[SimpleNamespace]] = {}

    def sweep(self, after: float) -> list[dict]:
        """What is told when the sweep looks so many seconds later."""
        self.path.now += after
        told: list[dict] = []
        for item in self.path.due():
            self.watches.look(
                item,
                status_of=lambda arn: self.status[arn],
                jobs_of=lambda run: self.jobs.get(run, []),
                send=told.append,
                now=self.path.now,
            )
        return told

    def start(self, run: str, family: str = "packaging", *steps: str) -> None:
        self.status[ARN + run] = "RUNNING"
        self.jobs[run] = [self.job("bag", step) for step in steps]
        self.watches.watch_run("training", family, ARN + run, self.path.now)

    def job(self, model: str, step: str, ended: float | None = None) -> SimpleNamespace:
        """A step that is submitted now."""
        now = self.path.now
        return SimpleNamespace(model=model, step=step, created=now, ended=ended, finished=ended is not None)

    def ran(self, *seconds: float, family: str = "packaging") -> None:
        for number, took in enumerate(seconds):
            self.watches.run_succeeded("training", family, f"before-{number}", took)


@pytest.fixture
def world(path: Path) -> World:
    return World(path)


def test_a_schedule_that_started_a_plan_is_no_alarm_whichever_came_first(world: World):
    world.watches.note_fired({**CHECK, "request": {}}, world.path.now)
    world.watches.watch_schedule(CHECK, world.path.now)
    assert world.sweep(PATIENCE_S) == [] and world.path.due() == []
    later = {**CHECK, "scheduled_at": "2026-01-12T05:00:00Z"}
    world.watches.watch_schedule(later, world.path.now)
    world.path.now += 60
    world.watches.note_fired({**later, "request": {}}, world.path.now)
    assert world.sweep(PATIENCE_S) == []


def test_a_schedule_that_started_nothing_is_told_of_once_after_a_quarter_of_an_hour(world: World):
    last_week = {**CHECK, "scheduled_at": "2025-12-29T05:00:00Z"}
    world.watches.note_fired(last_week, world.path.now)
    world.watches.watch_schedule(CHECK, world.path.now)
    world.watches.watch_schedule(CHECK, world.path.now)  # delivered twice
    assert world.sweep(PATIENCE_S - 1) == []
    (message,) = world.sweep(1)
    assert world.sweep(3600) == []
    mail = read_message(message, LINKS, "")
    assert mail.audiences == ("engineering",) and mail.attributes["severity"] == "error"
    assert "boxcar-weekly-training of 2026-01-05T05:00:00Z started nothing" in mail.subject
    assert "is enabled" in mail.text


@pytest.mark.parametrize("event", [{"family": "packaging"}, {"detail-type": "Object Created"}, None, "x"])
def test_what_no_schedule_started_leaves_no_word(world: World, event):
    world.watches.note_fired(event, world.path.now)
    assert world.path.dynamodb.scan(TableName=TABLE)["Items"] == []


def test_nobody_knows_what_is_usual_before_three_runs(world: World):
    world.ran(600, 600)
    world.start("run-1", "packaging", "train")
    assert world.sweep(86400) == []


def test_a_run_that_takes_twice_its_usual_time_is_told_of_once_with_its_open_steps(world: World):
    world.ran(500, 600, 9000)  # one that hung does not count for more than one
    world.start("run-1", "packaging", "train")
    assert world.sweep(1199) == []
    (message,) = world.sweep(1)
    assert world.sweep(86400) == []
    mail = read_message(message, LINKS, "")
    assert mail.id == "run_slow:run-1" and mail.audiences == ("science", "engineering")
    assert mail.attributes["severity"] == "warning"
    assert mail.subject == "[Boxcar alarm] packaging run run-1 takes long: 20 min, usually 10"
    for part in ("- bag/train", "Run:      run-1", ARN + "run-1"):
        assert part in mail.text


def test_of_families_each_has_its_own_usual_time_and_the_last_ten_runs_say_it(world: World):
    world.ran(*range(100, 1300, 100))
    world.ran(10, 10, 10, family="other")
    assert world.watches.usual("training", "packaging") == 750
    assert world.watches.usual("training", "other") == 10
    world.watches.run_succeeded("training", "other", "before-0", 50)
    assert world.watches.usual("training", "other") == 10, "a report that comes twice counts once"


def test_a_run_that_has_ended_in_time_or_unheard_is_no_alarm(world: World):
    world.ran(600, 600, 600)
    world.start("run-1", "packaging", "train")
    world.watches.run_ended("run-1")
    world.start("run-2", "packaging", "train")
    world.status[ARN + "run-2"] = "ABORTED"  # its event was lost
    assert world.sweep(1200) == [] and world.path.due() == []


def test_a_run_that_waits_for_a_person_is_looked_at_again_and_told_of_when_a_step_hangs(world: World):
    world.ran(600, 600, 600)
    world.start("run-1")
    assert world.sweep(1200) == [] and world.sweep(AGAIN_S - 1) == []
    world.jobs["run-1"] = [world.job("", "unload")]
    assert world.sweep(1) == [] and world.sweep(1198) == []
    (message,) = world.sweep(1)
    assert message["steps"] == ["unload"] and message["seconds"] == 1200


def test_the_days_in_which_a_run_waited_for_a_person_are_not_time_that_it_took(world: World):
    world.ran(600, 600, 600)
    world.start("run-1")
    world.jobs["run-1"] = [world.job("bag", "train", ended=world.path.now + 100)]
    assert world.sweep(86400) == [], "it waits"
    world.jobs["run-1"].append(world.job("box", "train"))
    assert world.sweep(AGAIN_S) == [] and world.sweep(199) == []
    (message,) = world.sweep(1)
    assert (message["steps"], message["seconds"]) == (["box/train"], 1200)


def report(*steps: tuple[float, float], status: str = "succeeded", cached: bool = False, model: str = "bag") -> dict:
    made = [{"model": model, "created": begun, "ended": ended, "cached": cached} for begun, ended in steps]
    return {"run": "run-1", "status": status, "steps": made}


def test_what_is_usual_is_how_long_runs_work_and_not_how_long_a_person_takes(world: World):
    plan = SimpleNamespace(restart_of=[], from_step="", request={"family": "packaging"})
    for run in ("run-1", "run-2", "run-3"):
        took = report((100.0, 160.0), (150.0, 200.0), (86_500.0, 86_600.0))
        world.watches.run_reported("training", "packaging", plan, {**took, "run": run})
    assert world.watches.usual("training", "packaging") == 200


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"restart_of": ["run-0"]}, report((1.0, 9.0))),
        ({"from_step": "train"}, report((1.0, 9.0))),
        ({"request": {"models": ["bag"]}}, report((1.0, 9.0))),
        ({}, report((1.0, 9.0), cached=True)),
        ({}, report((1.0, 9.0), status="partial")),
    ],
)
def test_a_part_of_a_run_and_one_from_the_cache_do_not_say_what_is_usual(world: World, changes: dict, told: dict):
    plan = SimpleNamespace(**{"restart_of": [], "from_step": "", "request": {}, **changes})
    world.ran(600, 600)
    world.start("run-1", "packaging", "train")
    world.watches.run_reported("training", "packaging", plan, told)
    assert world.watches.usual("training", "packaging") is None


def test_a_queue_that_takes_no_message_leaves_the_watch(world: World):
    world.watches.watch_schedule(CHECK, world.path.now)
    world.path.now += PATIENCE_S

    def refuse(message: dict) -> None:
        raise ConnectionError("SQS")

    (item,) = world.path.due()
    with pytest.raises(ConnectionError):
        world.watches.look(item, status_of=str, jobs_of=list, send=refuse, now=world.path.now)
    assert len(world.sweep(60)) == 1


def test_the_sweep_of_the_monitor_sees_to_watches_and_to_causes(path: Path):
    queue: list[dict] = []
    sqs = SimpleNamespace(send_message=lambda **request: queue.append(json.loads(request["MessageBody"])))
    states = SimpleNamespace(describe_execution=lambda executionArn: {"status": "RUNNING"})  # noqa: N803
    monitor = Monitor(
        table=JobsTable(path.dynamodb, TABLE),
        clients={"sqs": sqs, "stepfunctions": states}.__getitem__,
        settings=Settings(alarm_queue_url="alarms"),
        now=lambda: path.now,
        seconds_left=lambda: 60,
    )
    monitor.watches.watch_schedule(CHECK, path.now)
    for run in ("run-1", "run-2"):
        failure = {"kind": "run_failed", "machine": "training", "run": run, "error": "NoRows", "cause": "no rows"}
        path.deliver(read_message(failure, LINKS, ""))
    path.now += 3600
    monitor.sweep()
    assert sorted(message["kind"] for message in queue) == ["repeated", "schedule_missed"]
