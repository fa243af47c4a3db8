"""What docs/fault-matrix.md declares, and whether a run ended so."""

from tests.integration.fault_matrix.faults import FAULTS
from tests.integration.fault_matrix.machines import ROOT, State, definition, machine_names, tasks
from tests.integration.fault_matrix.runs import WAYS, Measured

DOCUMENT = ROOT / "docs/fault-matrix.md"
TASKS = [(machine, path.rpartition("/")[2]) for machine in machine_names() for path, _ in tasks(definition(machine))]
# Whoever is told of these is told by the report of the run, or nobody has to be: what was answered is not looked at.
UNREAD_TASKS = ("Tables", "Unload", "Split", "TakeTurn", "SmokeTrial", "WaitTrial")
UNREAD = {(task, fault) for task in UNREAD_TASKS for fault in ("null", "empty", "odd")}
UNREAD |= {("WaitTrial", "no answer")}  # nobody had a reason: it is looked at when it is time
UNREAD |= {("Step", "odd"), ("LoadTest", "odd"), ("SmokeTest", "odd")}


def state_of(machine: str, task: str) -> State:
    """A Task of a machine."""
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


def wrong_with(machine: str, task: str, fault: str, measured: Measured, healthy: Measured) -> str:
    """What is wrong with how a run with a fault ended; "" if it is as declared and whoever must be told is, once."""
    said = declared(machine).get(task, {}).get(fault)
    if said != str(measured):
        return f"{DOCUMENT.name} says {said}; measured: {measured}"
    if FAULTS[fault].once:
        return "" if measured == healthy else f"a fault that passes was told, or changed the end: {measured}"
    way = WAYS[machine][task]
    asked = ("science", "needs a decision") if way.asks or "Review" in way.after + task else None
    alarms = [alarm for alarm in measured.alarms if alarm != asked]  # the question is no alarm of a fault
    return "" if len(alarms) == 1 or (task, fault) in UNREAD else f"{len(alarms)} alarms: {measured}"
