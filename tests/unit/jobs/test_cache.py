"""What was done is not done again: in a restart, across runs, definitions and models. What differs is named."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from boxcar.jobs.cache import components, key_of
from boxcar.jobs.record import COMPLETED, Job
from tests.unit.jobs.conftest import World, make_step
from tests.unit.jobs.fakes import Ending, client_error
from tests.unit.jobs.runs import Runs, plan, steps, version, with_code

STEPS = list(steps(plan("x")))
BEFORE_WEEKS = 7 * 86400.0


@pytest.fixture
def runs(world: World) -> Runs:
    world.redshift.endings["unload"] = [Ending(rows=30_000)]
    return Runs(world)


def _ran(runs: Runs, run: str) -> list[tuple[str, str]]:
    return [(model, step) for name, model, step in runs.ran if name == run]


def _why(job: Job) -> str:
    assert job.caching is not None
    return job.caching.why


# ── restart


@pytest.mark.parametrize("finish", [True, False], ids=["after", "during"])
@pytest.mark.parametrize("stop_at", range(len(STEPS)), ids=["-".join(filter(None, step)) for step in STEPS])
def test_a_run_killed_at_any_step_repeats_none_that_it_had_finished(runs: Runs, stop_at: int, finish: bool) -> None:
    done = runs.run(plan("first"), stop_at, finish)
    assert list(done) == STEPS[: stop_at + finish]
    runs.rows = "rows of another week"
    jobs = runs.run(plan("second", "first"))
    assert _ran(runs, "second") == STEPS[len(done) :]
    assert [key for key, job in jobs.items() if job.hit] == STEPS[: len(done)]
    for key, job in done.items():
        assert jobs[key].outputs == job.outputs
        assert (jobs[key].caching.job, jobs[key].caching.saved_s) == (job.id, job.seconds)


def test_a_restart_of_a_restart_goes_on_from_both(runs: Runs) -> None:
    runs.run(plan("first"), stop_at=5)
    runs.run(plan("second", "first"), stop_at=3)  # killed before it came as far
    runs.run(plan("third", "second", "first"))
    assert _ran(runs, "second") == [] and _ran(runs, "third") == STEPS[6:]
    assert runs.world.table.get(runs.submit(plan("third", "second", "first"), "", "unload").id).caching.run == "first"


def test_what_a_restart_took_says_what_it_was_made_from(runs: Runs) -> None:
    runs.run(plan("first", models=["mailer"]))
    runs.run(plan("second", "first", models=["mailer"]))
    runs.run(plan("third", "second", "first", models=["mailer"]))
    assert _ran(runs, "second") == _ran(runs, "third") == []
    jobs = runs.run(plan("fourth", models=["mailer"]))
    assert "inputs.approved_model is new" in _why(jobs["mailer", "evaluate"])


def test_a_restart_needs_neither_the_entries_of_the_cache_nor_their_age(runs: Runs) -> None:
    runs.run(plan("first"), stop_at=5)
    for pk in [pk for pk in runs.world.dynamodb.tables["jobs"] if pk.startswith("cache#")]:
        del runs.world.dynamodb.tables["jobs"][pk]
    runs.run(plan("second", "first"))
    assert _ran(runs, "second") == STEPS[6:]


def test_under_another_definition_only_what_depends_on_it_runs(runs: Runs) -> None:
    mended = version(with_code(evaluate="mended"), 2)
    runs.run(plan("first", of=version(with_code())))
    jobs = runs.run(plan("second", "first", of=mended))
    models = ("mailer", "bag", "box", "own_container")
    assert _ran(runs, "second") == [(model, "evaluate") for model in models]
    assert _why(jobs["bag", "evaluate"]) == "since run first: code: other content"


def test_a_version_that_somebody_else_approved_since_is_compared_with(runs: Runs) -> None:
    first = plan("first", models=["mailer"])
    runs.run(first)
    runs.run(plan("monday", models=["mailer"], fresh=True))
    jobs = runs.run(plan("second", "first", models=["mailer"]))
    assert _ran(runs, "second") == [("mailer", "evaluate")]
    assert "inputs.approved_model is new" in _why(jobs["mailer", "evaluate"])


# ── across runs


def test_the_same_rows_are_not_trained_on_twice(runs: Runs) -> None:
    runs.run(plan("first"))
    jobs = runs.run(plan("second"))
    evaluated = [(model, step) for model, step in STEPS if step == "evaluate"]  # beside a version approved since
    assert _ran(runs, "second") == [("", "unload"), *evaluated]
    assert "max_age_s does not allow for it" in _why(jobs["", "unload"])
    assert jobs["bag", "train"].caching.run == "first"
    assert "inputs.approved_model is new" in _why(jobs["bag", "evaluate"])
    runs.rows = "rows of the next week"
    jobs = runs.run(plan("third"))
    assert _ran(runs, "third") == STEPS
    assert _why(jobs["bag", "prepare"]) == "since run second: inputs.data: other content"


def test_an_unload_may_be_as_old_as_the_family_says(runs: Runs) -> None:
    hour = version(source={**version().family.source.model_dump(), "max_age_s": 3600})
    runs.run(plan("first", of=hour))
    runs.world.clock.time += 1800
    assert runs.submit(plan("second", of=hour), "", "unload").hit
    runs.world.clock.time += 7200
    job = runs.submit(plan("third", of=hour), "", "unload")
    assert not job.hit and "more than max_age_s = 3600" in _why(job)


def test_a_parameter_that_a_step_does_not_read_does_not_concern_it(runs: Runs) -> None:
    runs.run(plan("first", models=["mailer"]))
    slower = {"mailer": {"learning_rate": 0.3}}
    jobs = runs.run(plan("second", models=["mailer"], parameters=slower))
    assert jobs["mailer", "prepare"].hit
    assert _why(jobs["mailer", "train"]) == "since run first: config.learning_rate 0.2 → 0.3"


def test_models_of_one_label_share_what_was_prepared(runs: Runs) -> None:
    document = version().family.model_dump()
    challenger = {"label": "mailer", "parameters": {"max_depth": 9}}
    both = version(models={**document["models"], "challenger": challenger})
    runs.run(plan("first", of=both, models=["mailer"]))
    jobs = runs.run(plan("second", of=both, models=["challenger"]))
    assert jobs["challenger", "prepare"].hit and not jobs["challenger", "train"].hit
    assert jobs["challenger", "prepare"].caching.job == runs.ended(jobs["challenger", "prepare"]).caching.job


def test_machines_and_limits_do_not_matter(runs: Runs) -> None:
    runs.run(plan("first", models=["mailer"]))
    steps_ = {"train": {"resources": {"instance_types": ["ml.m5.4xlarge"]}, "max_runtime_s": 60, "priority": 1}}
    larger = version(number=2, models={"mailer": {"label": "mailer", "steps": steps_}})
    assert runs.run(plan("second", of=larger))["mailer", "train"].hit


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"fresh": True}, STEPS[:5]),
        ({"from_step": "unload"}, STEPS[:5]),
        ({"from_step": "train"}, STEPS[2:5]),
        ({"from_step": "evaluate"}, STEPS[4:5]),
    ],
)
def test_from_a_step_on_everything_is_done_anew(
    runs: Runs, request_: dict[str, object], expected: list[tuple[str, str]]
) -> None:
    runs.run(plan("first", models=["mailer"]))
    runs.world.clock.time += BEFORE_WEEKS
    runs.rows = "other rows, which nobody asked for"
    jobs = runs.run(plan("second", models=["mailer"], **request_))
    assert _ran(runs, "second") == expected
    assert all("anew" in _why(jobs[key]) for key in expected)
    jobs = runs.run(plan("third", models=["mailer"], from_step="predict"))
    assert _ran(runs, "third") == [("mailer", "predict"), ("mailer", "evaluate")]
    assert jobs["", "unload"].caching.run == ("second" if ("", "unload") in expected else "first")


@pytest.mark.parametrize("restart_of", [(), ("first",)], ids=["another run", "a restart"])
def test_what_was_deleted_is_made_again_and_said_so(runs: Runs, restart_of: tuple[str, ...]) -> None:
    jobs = runs.run(plan("first", models=["mailer"]))
    gone = jobs["mailer", "train"].outputs["model"]
    del runs.world.s3.objects["data", gone.removeprefix("s3://data/")]
    jobs = runs.run(plan("second", *restart_of, models=["mailer"]))
    assert ("mailer", "train") in _ran(runs, "second") and jobs["mailer", "predict"].hit, "the same bytes came out"
    assert _why(jobs["mailer", "train"]) == f"output model of run first is gone: {gone}"


def test_files_that_will_soon_be_deleted_are_not_built_on(runs: Runs) -> None:
    runs.run(plan("first", models=["mailer"]))
    runs.world.clock.time += 88 * 86400.0
    jobs = runs.run(plan("second", models=["mailer"]))
    assert "are about to be deleted" in _why(jobs["mailer", "prepare"])


def test_a_step_may_refuse(runs: Runs) -> None:
    never = version(models={"mailer": {"label": "mailer", "steps": {"train": {"cache": False}}}})
    runs.run(plan("first", of=never))
    jobs = runs.run(plan("second", of=never))
    assert _why(jobs["mailer", "train"]) == "the step says cache: false"
    assert jobs["mailer", "predict"].hit, "the same bytes came out"
    runs.run(plan("third", "second", of=never))
    assert _ran(runs, "third") == [], "a restart goes on"


# ── never a wrong answer

NAMES = st.sampled_from(["a", "b", "a.b", "a\\", ".", ""])
LONG = st.sampled_from(["x" * 130, ["x"] * 40, {"a": "x" * 130}])
SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "1", "{}", "[]", "null"]) | LONG
VALUES = st.recursive(
    SCALARS | LONG.map(json.dumps), lambda part: st.lists(part, max_size=2) | st.dictionaries(NAMES, part, max_size=2)
)
CONFIGS = st.dictionaries(NAMES, VALUES, max_size=2)


def _key(config: dict[str, Any]) -> str:
    return key_of(components(make_step(config=config), {}, {}))


@example({"filters": {}, "x": 1}, {"x": 1})
@example({"a.b": 1}, {"a": {"b": 1}})
@example({"a\\": {"b": 1}}, {"a\\.b": 1})
@example({"a": ["x"] * 40}, {"a": json.dumps(["x"] * 40)})
@given(CONFIGS, CONFIGS)
def test_keys_are_equal_exactly_when_configurations_are(one: dict[str, Any], other: dict[str, Any]) -> None:
    equal = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (_key(one) == _key(other)) == equal


@pytest.mark.parametrize("ending", ["ClientError: x", "AlgorithmError: x"])
def test_what_failed_is_nobodys_answer(world: World, ending: str) -> None:
    world.sagemaker.endings["train"] = [Ending("Failed", ending)]
    world.submit(make_step("train", max_attempts=1), run="one", token="one")
    world.run()
    assert world.items("cache#") == []


def test_an_input_that_is_written_to_meanwhile_is_not_remembered(world: World) -> None:
    world.s3.put_object(Bucket="data", Key="shared/rows.csv", Body=b"old")
    step = make_step("train", inputs={"train": "s3://data/shared/"})
    world.submit(step, run="one", token="one")
    world.launch()
    world.s3.put_object(Bucket="data", Key="shared/rows.csv", Body=b"new")
    world.run()
    job = world.table.get(world.submit(step, run="one", token="one").id)
    assert job.status == COMPLETED and "an input was written to before it had ended" in _why(job)
    assert [item for item in world.items("cache#") if "outputs" in item] == []


def test_two_at_once_both_run_and_the_last_is_remembered(world: World) -> None:
    jobs = [world.submit(make_step("train"), run=run, token=run) for run in ("one", "two")]
    world.run()
    assert len(world.sagemaker.jobs) == 2
    (entry,) = [item for item in world.items("cache#") if "outputs" in item]
    assert entry["job"]["S"] in {job.id for job in jobs}


def test_an_input_that_cannot_be_listed_is_run_and_said_so(world: World) -> None:
    def denied(**_: object) -> None:
        raise client_error("AccessDenied", "not for you")

    world.s3.list_objects_v2 = denied
    job = world.submit(make_step("train", inputs={"train": "s3://others/rows/"}))
    assert job.caching.outcome == "off" and "s3://others/rows/ cannot be listed" in _why(job)
    world.run()
    assert world.items("cache#") == [] and "output" in world.answer()


def test_a_hit_whose_answer_was_lost_is_answered_by_the_sweep(runs: Runs) -> None:
    first = plan("first", models=["mailer"])
    runs.run(first, stop_at=0)
    runs.world.states.faults["send_task_success"] = [client_error("ServiceUnavailable")]
    with pytest.raises(Exception, match="ServiceUnavailable"):
        runs.submit(plan("second", "first", models=["mailer"]), "", "unload")
    runs.world.clock.time += 120
    runs.world.sweep()
    assert "output" in runs.world.answer("second//unload") and runs.world.open_items() == []


# ── jobs of one's own


def test_a_job_that_was_submitted_on_purpose_runs(world: World) -> None:
    for name in ("one", "two"):
        world.submit_own(name, make_step("train"))
    world.run()
    assert len(world.sagemaker.jobs) == 2 and world.items("cache#") == []


def test_unless_it_says_otherwise_and_then_its_owner_is_told_of_it_too(world: World) -> None:
    first = world.submit_own("one", make_step("train", cache=True))
    world.run()
    key = world.table.get(first.id).outputs["model"].removeprefix("s3://data/")
    world.s3.put_object(Bucket="data", Key=key, Body=b"model")
    second = world.submit_own("two", make_step("train", cache=True))
    assert second.hit and second.caching.job == first.id and second.outputs == world.table.get(first.id).outputs
    world.step(120)
    assert [message["sweeps"] for message in world.digests()] == [{"": {"Completed": 2}}]
