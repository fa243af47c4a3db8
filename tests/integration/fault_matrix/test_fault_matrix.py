"""Every Task of every machine with every fault: the run ends as docs/fault-matrix.md declares, and one alarm is sent.

`make test TESTS=tests/integration/fault_matrix ARGS='-n 0 -s' BOXCAR_MATRIX=whole` prints the table as it was measured.
"""

import os
from collections.abc import Iterator

import pytest

from tests.integration.fault_matrix.account import Account, opened
from tests.integration.fault_matrix.faults import FAULTS
from tests.integration.fault_matrix.machines import ROOT, State, definition, machine_names, tasks
from tests.integration.fault_matrix.runs import WAYS, befalling, run

DOCUMENT = ROOT / "docs/fault-matrix.md"
TASKS = [(machine, path.rpartition("/")[2]) for machine in machine_names() for path, _ in tasks(definition(machine))]
# Whoever is told of these is told by the report of the run, or nobody has to be: what was answered is not looked at.
UNREAD_TASKS = ("Tables", "Unload", "Split", "TakeTurn", "SmokeTrial", "WaitTrial")
UNREAD = {(task, fault) for task in UNREAD_TASKS for fault in ("null", "empty", "odd")}
UNREAD |= {("WaitTrial", "no answer")}  # nobody had a reason: it is looked at when it is time
UNREAD |= {("Step", "odd"), ("CountSplit", "odd"), ("LoadTest", "odd"), ("SmokeTest", "odd")}


# The whole takes minutes. Else each Task has every third fault, and three Tasks that follow each other have all of them.
WHOLE = os.environ.get("BOXCAR_MATRIX") == "whole"
PART = 3


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with opened() as made:
        yield made


def state_of(machine: str, task: str) -> State:
    return next(state for path, state in tasks(definition(machine)) if path.rpartition("/")[2] == task)


def declared(machine: str) -> dict[str, dict[str, str]]:
    """The table of a machine in the document: Task → fault → cell."""
    lines = DOCUMENT.read_text().partition(f"\n## {machine}\n")[2].partition("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    if not rows:
        return {}
    return {row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[2:]}


def line(task: str, cells: dict[str, str]) -> str:
    """A row as the document has it."""
    return " | ".join([f"| {task}", *(cells.get(fault, "") for fault in FAULTS)]) + " |"


@pytest.mark.parametrize(("machine", "task"), TASKS)
def test_a_task_fails_as_it_is_declared_and_one_alarm_is_sent(account: Account, machine: str, task: str) -> None:
    assert task in WAYS.get(machine, {}), (
        f"{task} of {machine}: declare it in WAYS of tests/integration/fault_matrix/runs.py"
    )
    healthy = run(account, machine, task, None)
    cells: dict[str, str] = {}
    befall = list(befalling(state_of(machine, task)))
    measured_now = befall if WHOLE else befall[TASKS.index((machine, task)) % PART :: PART]
    for fault in measured_now:
        measured = run(account, machine, task, fault)
        cells[fault] = str(measured)
        if FAULTS[fault].once:
            assert measured == healthy, f"{fault}: a fault that passes was told, or changed the end: {measured}"
        elif (task, fault) not in UNREAD:
            way = WAYS[machine][task]
            asked = ("science", "needs a decision") if way.asks or "Review" in way.after + task else None
            alarms = [alarm for alarm in measured.alarms if alarm != asked]  # the question is no alarm of a fault
            assert len(alarms) == 1, f"{fault}: {measured}"
    print(line(task, cells))
    said = declared(machine).get(task, {})
    assert {fault for fault in FAULTS if said.get(fault)} == set(befall), f"{DOCUMENT.name}: cells of {task}"
    assert {fault: said[fault] for fault in measured_now} == cells, (
        f"{DOCUMENT.name} says something else; measured:\n{line(task, cells)}"
    )


@pytest.mark.parametrize("machine", machine_names())
def test_the_document_has_no_task_that_is_gone(machine: str) -> None:
    known = {task for name, task in TASKS if name == machine}
    assert set(declared(machine)) == known == set(WAYS.get(machine, {}))
