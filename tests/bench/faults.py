"""Every Task of every machine with every fault: how the run ends, and who is alarmed, beside what is declared."""

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

from tests.integration.fault_matrix.account import opened
from tests.integration.fault_matrix.declared import TASKS, line, state_of, wrong_with
from tests.integration.fault_matrix.faults import FAULTS
from tests.integration.fault_matrix.machines import machine_names
from tests.integration.fault_matrix.runs import befalling, run


def main() -> dict[str, int]:
    """Print the tables of docs/fault-matrix.md as measured, and below each what is not as declared there."""
    count, wrong, out = 0, 0, sys.stdout
    with Path(os.devnull).open("w") as logs, redirect_stdout(logs), opened() as account:  # functions log to stdout
        for machine in machine_names():
            print(f"\n## {machine}\n\n{line('Task', {fault: fault for fault in FAULTS})}", file=out)
            print("|---" * (len(FAULTS) + 1) + "|", file=out)
            remarks = []
            for task in (task for name, task in TASKS if name == machine):
                healthy = run(account, machine, task, None)
                found = {fault: run(account, machine, task, fault) for fault in befalling(state_of(machine, task))}
                print(line(task, {fault: str(measured) for fault, measured in found.items()}), file=out, flush=True)
                why = {fault: wrong_with(machine, task, fault, one, healthy) for fault, one in found.items()}
                remarks += [f"WRONG {task}, {fault}: {words}" for fault, words in why.items() if words]
                count += len(found)
            wrong += len(remarks)
            print("\n".join(remarks), file=out)
    return {"cells": count, "wrong": wrong}
