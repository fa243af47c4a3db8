"""The bench runner: what it lists, what its last line is."""

import json

import pytest

from tests.bench import __main__ as runner


@pytest.fixture
def folder(tmp_path, monkeypatch):
    text = '"""Adds numbers.\n\nSlowly."""\n\ndef main():\n    print("table")\n    return {"n": 3}\n'
    (tmp_path / "sums.py").write_text(text)
    (tmp_path / "parts.py").write_text('"""What benches share; no bench."""\n')
    known = runner.benches(tmp_path)
    monkeypatch.setattr(runner, "benches", lambda: known)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(runner.importlib, "import_module", lambda name: __import__(name.removeprefix("tests.bench.")))
    return tmp_path


def test_lists_each_bench_with_its_first_line(folder, capsys):
    assert runner.main([]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["  sums  Adds numbers."]


def test_the_last_line_is_json(folder, capsys):
    assert runner.main(["sums"]) == 0
    *table, last = capsys.readouterr().out.splitlines()
    assert table == ["table"]
    assert json.loads(last) == {"n": 3}


def test_an_unknown_name(folder, capsys):
    assert runner.main(["smus"]) == 2
    assert "there are sums" in capsys.readouterr().out
