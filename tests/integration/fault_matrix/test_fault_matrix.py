"""Every Task of every machine with every fault: the run ends as docs/fault-matrix.md declares, and one alarm is sent."""

from collections.abc import Iterator

import pytest

from tests.integration.fault_matrix.account import Account, opened
from tests.integration.fault_matrix.declared import DOCUMENT, TASKS, declared, line, state_of, wrong_with
from tests.integration.fault_matrix.faults import FAULTS
from tests.integration.fault_matrix.machines import machine_names
from tests.integration.fault_matrix.runs import WAYS, befalling, run


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with opened() as made:
        yield made


@pytest.mark.parametrize(("machine", "task"), TASKS)
def test_a_task_fails_as_it_is_declared_and_one_alarm_is_sent(account: Account, machine: str, task: str) -> None:
    assert task in WAYS.get(machine, {}), (
        f"{task} of {machine}: declare it in WAYS of tests/integration/fault_matrix/runs.py"
    )
    befall = list(befalling(state_of(machine, task)))
    said = declared(machine).get(task, {})
    assert {fault for fault in FAULTS if said.get(fault)} == set(befall), f"{DOCUMENT.name}: cells of {task}"
    healthy = run(account, machine, task, None)
    cells, wrong = {}, {}
    for fault in befall:
        measured = run(account, machine, task, fault)
        cells[fault] = str(measured)
        wrong[fault] = wrong_with(machine, task, fault, measured, healthy)
    assert not any(wrong.values()), f"{[(fault, why) for fault, why in wrong.items() if why]}\n{line(task, cells)}"


@pytest.mark.parametrize("machine", machine_names())
def test_the_document_has_no_task_that_is_gone(machine: str) -> None:
    known = {task for name, task in TASKS if name == machine}
    assert set(declared(machine)) == known == set(WAYS.get(machine, {}))
