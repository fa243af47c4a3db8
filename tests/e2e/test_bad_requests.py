"""What a person gets wrong ends in a failed run, one alarm to science that says what to write, and nothing registered."""

from tests.e2e.deployed import Deployed, Run


def failed_with_one_alarm(stack: Deployed, run: Run, error: str, *expected: str) -> None:
    assert (run.status, run.error) == ("FAILED", error), run
    text = stack.one_alarm(run.name, "science")
    for part in (error, *expected):
        assert part in text, text
    assert all(part in run.cause for part in expected), run.cause


def test_a_trigger_that_is_not_json(empty_stack: Deployed) -> None:
    run = empty_stack.run(b"family: packaging\n")
    failed_with_one_alarm(empty_stack, run, "TriggerError", "triggers/training/", "is not JSON", "family: packaging")


def test_an_unknown_family(empty_stack: Deployed) -> None:
    empty_stack.small_family()
    run = empty_stack.run({"family": "packing"})
    failed_with_one_alarm(empty_stack, run, "TriggerError", "triggers/training/", "family", "'packing'", "small_")


def test_an_unknown_model(empty_stack: Deployed) -> None:
    family = empty_stack.small_family("mailer", "bag")
    run = empty_stack.run({"family": family, "models": ["crate"]})
    failed_with_one_alarm(empty_stack, run, "TriggerError", "models", "'crate'", "bag, mailer")


def test_a_parameter_out_of_range(empty_stack: Deployed) -> None:
    family = empty_stack.small_family("mailer")
    run = empty_stack.run({"family": family, "parameters": {"mailer": {"max_depth": 99}}})
    failed_with_one_alarm(empty_stack, run, "TriggerError", "parameters.mailer.max_depth", "99", "at most")


def test_a_family_with_a_cycle(empty_stack: Deployed) -> None:
    family = empty_stack.small_family("box", "own_container", models__box__after=["own_container"])
    run = empty_stack.run({"family": family})
    failed_with_one_alarm(empty_stack, run, "FamilyError", f"families/{family}.yaml", "box", "wait for each other")


def test_a_family_with_an_unknown_architecture(empty_stack: Deployed) -> None:
    family = empty_stack.small_family(defaults__architecture="forest")
    run = empty_stack.run({"family": family})
    failed_with_one_alarm(empty_stack, run, "FamilyError", f"families/{family}.yaml", "'forest'", "boosted_trees")


def test_a_query_that_is_not_a_select(empty_stack: Deployed) -> None:
    family = empty_stack.small_family(source={"query": "DELETE FROM products"})
    run = empty_stack.run({"family": family})
    failed_with_one_alarm(empty_stack, run, "FamilyError", "source.query", "DELETE FROM products", "SELECT")


def test_the_same_event_delivered_twice_trains_once(stack: Deployed) -> None:
    family = stack.small_family()
    before = set(stack.executions())
    stack.cloud.add_fault(event="aws.s3", effect="double", count=1, match={"object.key": "triggers/training/*"})
    stack.upload({"family": family})
    first = stack.started_since(before)
    second = stack.started_since({*before, first})
    runs = [stack.wait(first), stack.wait(second)]
    assert [run.status for run in runs] == ["SUCCEEDED", "SUCCEEDED"]
    assert sorted(run.output["status"] for run in runs) == ["duplicate", "succeeded"]
    assert len(stack.versions(family, "mailer")) == 1
    assert not any(stack.mails(run.name) for run in runs)


def test_the_weekly_schedule_starts_a_run_and_its_alarm_names_the_schedule(empty_stack: Deployed) -> None:
    """The family it names was never applied to this stack."""
    before = set(empty_stack.executions())
    empty_stack.cloud.fire_schedule("boxcar-weekly-training")
    run = empty_stack.wait(empty_stack.started_since(before))
    failed_with_one_alarm(empty_stack, run, "TriggerError", "schedule boxcar-weekly-training", "'packaging'")
