"""A kind is one file. This one is dropped in and runs from submission to answer; nothing else knows of it."""

import textwrap

import pytest

from boxcar import kinds
from boxcar.errors import StepError
from boxcar.steps import Step

ECHO = '''
    """Says what it is told. Its service answers when it is asked."""

    from boxcar.errors import StepError
    from boxcar.jobs.kind import Kind, Observation


    class Echo(Kind):
        """One word."""

        service = "echo"
        detail_types = ("Echo State Change",)

        def check(self, step, settings):
            if not step.options.get("word"):
                raise StepError(f"step {step.name}: options.word: is missing; write one")

        def pools(self, step):
            return ["echo"]

        def units(self, step):
            return 1

        def outputs(self, step, place, name):
            return {"word": f"{place}word"}

        def start(self, launch, settings, clients):
            return clients("echo").say(name=launch.name, word=launch.step.options["word"])

        def observe(self, detail):
            return Observation(detail["name"], detail["status"], arn=detail["name"])

        def describe(self, name, arn, clients):
            return self.observe(clients("echo").look(name=name))

        def stop(self, name, arn, clients):
            clients("echo").hush(name=name)

        def logs(self, name, arn):
            return "/echo", name


    KIND = Echo()
'''


class Echo:
    def __init__(self):
        self.said = []

    def say(self, name, word):
        self.said.append(word)
        return name


@pytest.fixture
def echo(tmp_path, monkeypatch):
    """The file among the others, as if it had been written there."""
    (tmp_path / "echo.py").write_text(textwrap.dedent(ECHO))
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path)])
    for cached in (kinds.names, kinds.find, kinds.by_detail_type):
        cached.cache_clear()
    yield
    monkeypatch.undo()
    for cached in (kinds.names, kinds.find, kinds.by_detail_type):
        cached.cache_clear()


def test_a_new_file_is_a_new_kind(echo, world):
    service = world.calls.services["echo"] = Echo()
    with pytest.raises(StepError, match=r"options\.word: is missing"):
        world.submit(Step(name="work", kind="echo"))
    job = world.submit(Step(name="work", kind="echo", options={"word": "hello"}))
    world.launch()
    assert service.said == ["hello"] and world.held() == {"echo": 1}
    detail = {"name": f"{job.id}-1", "status": "Completed"}
    world.monitor().hear({"detail-type": "Echo State Change", "detail": detail})
    assert world.answer()["output"]["outputs"] == {"word": "s3://data/runs/run-1/mailer/work/1/word"}
    assert world.held() == {}


def test_without_its_file_it_is_none(world):
    with pytest.raises(StepError, match="'echo' is not a kind"):
        world.submit(Step(name="work", kind="echo", options={"word": "hello"}))
