"""Names that say nothing, addresses of registries, files that are too long."""

import subprocess

import pytest

from lint import files


@pytest.mark.parametrize("name", ["cli/utils.py", "local/job_manager.py", "tests/helpers/a.py", "boxcar/common.py"])
def test_names_that_say_nothing(name):
    assert list(files.name_faults(name))


@pytest.mark.parametrize("name", ["cli/deploy.py", "docs/commonplace.md", "local/managers_meeting.py"])
def test_names_that_say_something(name):
    assert list(files.name_faults(name)) == []


@pytest.mark.parametrize(
    "parts",  # joined in the test, so that this file does not hold what is looked for
    [
        ("https://pypi", ".org/simple"),
        ("https://registry.npmjs", ".org/x"),
        ("--index", "-url https://mirror.example/simple"),
        ('"resolved', '": "https://mirror.example/x.tgz"'),
    ],
)
def test_addresses_of_registries(parts):
    found = list(files.text_faults("a.lock", f"first\n{''.join(parts)}\n"))
    assert [(finding.place, finding.warning) for finding in found] == [("2", False)]


def test_a_long_file_is_a_warning():
    assert [finding.warning for finding in files.text_faults("a.py", "\n" * 301)] == [True]
    assert list(files.text_faults("a.py", "\n" * 300)) == []
    assert list(files.text_faults("a.json", "\n" * 301)) == []


def test_check_looks_at_what_git_tracks_or_would_track(tmp_path):
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    for name in ("utils.py", "ignored/utils.py", "data.bin"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\xff\xfe")
    (tmp_path / ".gitignore").write_text("ignored/\n")
    assert [finding.file for finding in files.check(tmp_path)] == ["utils.py"]
