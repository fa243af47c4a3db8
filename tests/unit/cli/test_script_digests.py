"""A script's digest changes with what it may use, and with nothing else."""

import pytest

from cli.script_digests import script_digests

FILES = {
    "architecture.yaml": b"steps: []",
    "prepare.py": b"from rows import read\nPARTS = ['train', 'validation']",
    "train.py": b"import rows, trees.grow",
    "late.py": b"def f():\n    from trees import prune",
    "shell.py": b"import subprocess\nsubprocess.run(['python', 'train.py'])",
    "opaque.py": b"import importlib\nimportlib.import_module('ro' + 'ws')",
    "uses_opaque.py": b"import opaque",
    "broken.py": b"def",
    "rows.py": b"def read(): ...",
    "trees/__init__.py": b"",
    "trees/grow.py": b"",
    "trees/prune.py": b"",
}


@pytest.mark.parametrize(
    ("changed", "concerns"),
    [
        ("architecture.yaml", set()),
        ("prepare.py", {"prepare.py"}),
        ("rows.py", {"rows.py", "prepare.py", "train.py", "shell.py"}),
        ("train.py", {"train.py", "shell.py"}),
        ("trees/prune.py", {"trees/prune.py", "late.py", "train.py", "shell.py"}),
    ],
)
def test_a_change_concerns_who_uses_it(changed: str, concerns: set[str]) -> None:
    before, after = script_digests(FILES), script_digests({**FILES, changed: FILES[changed] + b"\n# other"})
    assert {name for name in before if before[name] != after[name]} == concerns


def test_a_file_that_is_no_python_concerns_all() -> None:
    before, after = script_digests(FILES), script_digests({**FILES, "requirements.txt": b"polars"})
    assert all(before[name] != after[name] for name in before)


def test_what_cannot_be_known_goes_by_the_folder() -> None:
    assert script_digests(FILES).keys().isdisjoint({"opaque.py", "uses_opaque.py", "broken.py"})
