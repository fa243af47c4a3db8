"""The command that runs the checks: what it runs, what it says, how it ends."""

import json

import pytest

from lint import __main__ as lint
from lint import validators
from lint.findings import Finding


@pytest.fixture
def checks(monkeypatch, tmp_path):
    """Replace the checks by those that a test gives, in an empty checkout."""
    monkeypatch.chdir(tmp_path)

    def use(*made):
        monkeypatch.setattr(lint, "CHECKS", list(made))

    return use


def test_nothing_to_mend(checks, capsys):
    checks(lint.Check("walls", "walls", lambda root: []))
    assert lint.main([]) == 0
    assert "1 checks found nothing to mend" in capsys.readouterr().out


def test_what_is_found_is_shown_and_fails(checks, capsys):
    checks(
        lint.Check("walls", "walls", lambda root: [Finding("a.py", "3", "imports b")]),
        lint.Check("files", "files", lambda root: []),
    )
    assert lint.main([]) == 1
    said = capsys.readouterr().out
    assert "FAIL  walls" in said
    assert "a.py:3: imports b" in said
    assert "ok    files" in said


def test_a_warning_is_shown_and_does_not_fail(checks, capsys):
    checks(lint.Check("files", "files", lambda root: [Finding("a.py", "300", "long", warning=True)]))
    assert lint.main([]) == 0
    assert "a.py:300: warning: long" in capsys.readouterr().out


def test_a_check_that_breaks_fails(checks, capsys):
    def break_down(root):
        raise ValueError("no such field")

    checks(lint.Check("rules", "rules", break_down))
    assert lint.main([]) == 1
    assert "ValueError: no such field" in capsys.readouterr().out


def test_what_is_not_there_yet_is_skipped_with_a_line(checks, capsys, tmp_path):
    checks(lint.Check("rules", "rules", lambda root: [Finding("template.yaml", "A", "wrong")], "template.yaml"))
    assert lint.main([]) == 0
    assert "skip  rules: there is no template.yaml yet" in capsys.readouterr().out
    (tmp_path / "template.yaml").touch()
    assert lint.main([]) == 1


def test_an_unknown_check_is_told_which_there_are(checks, capsys):
    checks(lint.Check("rules", "rules", lambda root: []))
    assert lint.main(["ruels"]) == 2
    assert "no check ruels; there are rules" in capsys.readouterr().out


def test_validators_get_what_they_can_read():
    state = {
        "TimeoutSeconds": "{% $timeout %}",
        "Retry": [{"BackoffRate": 2, "IntervalSeconds": 1}],
        "Arguments": {"Payload": {"model": "", "run": "{% $run %}"}},
    }
    assert validators.readable(state) == {
        "TimeoutSeconds": 60,
        "Retry": [{"BackoffRate": 2.0, "IntervalSeconds": 1}],
        "Arguments": {"Payload": {"model": "text", "run": "{% $run %}"}},
    }


def test_statelint_finds_what_is_wrong_with_a_machine(tmp_path):
    (tmp_path / "statemachines").mkdir()
    machine = {"StartAt": "A", "QueryLanguage": "JSONata", "States": {"A": {"Type": "Pass", "Next": "B"}}}
    (tmp_path / "statemachines" / "a.asl.json").write_text(json.dumps(machine))
    found = validators.statelint(tmp_path)
    assert [finding.file for finding in found] == ["statemachines/a.asl.json"]
    assert "B" in found[0].message


def test_what_a_program_prints_becomes_findings(tmp_path):
    (tmp_path / "a.py").write_text("import os\nx = undefined\n")
    found = lint.tool("ruff", "check", "--isolated", *lint.RUFF)(tmp_path)
    assert {(finding.file, finding.place) for finding in found} == {("a.py", "1"), ("a.py", "2")}
    assert lint.tool("ruff", "check", "--no-such-option")(tmp_path)[0].place == "ruff"
