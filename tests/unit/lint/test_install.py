"""The script that makes the environments: when it leaves one alone, and when not."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def install():
    spec = importlib.util.spec_from_file_location("install", ROOT / "requirements" / "install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def made(install, monkeypatch, tmp_path):
    """Replace uv by a list of what it was asked to do."""
    asked = []

    def uv(*arguments, python=None):
        asked.append(arguments[0])
        if arguments[0] == "venv":
            arguments[-1].mkdir(exist_ok=True)

    monkeypatch.setattr(install, "uv", uv)
    monkeypatch.setattr(install, "ROOT", tmp_path)
    return asked


def test_an_environment_is_made_once_for_each_lock(install, made, tmp_path):
    lock, folder = tmp_path / "jobs.lock", tmp_path / "jobs"
    lock.write_text("numpy==2.0\n")
    install.make_environment(folder, lock)
    assert made == ["venv", "pip"]
    install.make_environment(folder, lock)
    assert made == ["venv", "pip"]
    lock.write_text("numpy==2.1\n")
    install.make_environment(folder, lock)
    assert made == ["venv", "pip"] * 2


def test_an_environment_whose_making_was_interrupted_is_made_again(install, made, tmp_path, monkeypatch):
    lock, folder = tmp_path / "jobs.lock", tmp_path / "jobs"
    lock.write_text("numpy==2.0\n")

    def interrupted(*arguments, python=None):
        folder.mkdir(exist_ok=True)
        if arguments[0] == "pip":
            raise SystemExit("setup: failed: uv pip sync")

    monkeypatch.setattr(install, "uv", interrupted)
    with pytest.raises(SystemExit):
        install.make_environment(folder, lock)
    assert not install.is_current(folder, install.digest_of(lock))


def test_a_python_that_is_too_old_is_told_what_to_write(install, monkeypatch, capsys):
    monkeypatch.setattr(install, "OLDEST", (99, 0))
    monkeypatch.setattr(install.sys, "argv", ["install.py"])
    assert install.main() == 1
    assert "is too old; run `make PYTHON=python3.11" in capsys.readouterr().out


def test_settings_of_tools_do_not_make_the_environment_again(install, tmp_path):
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text((ROOT / "pyproject.toml").read_text())
    before = install.project_digest(pyproject)
    pyproject.write_text(pyproject.read_text() + '\n[tool.coverage.run]\nsource = ["cli"]\n')
    assert install.project_digest(pyproject) == before
    pyproject.write_text(pyproject.read_text().replace("cli.main:main", "cli.other:main"))
    assert install.project_digest(pyproject) != before


@pytest.mark.parametrize("layer", ["deps", "parquet"])
def test_the_layer_has_the_versions_that_setup_put_into_the_cache(layer):
    """Else building it for the embedded cloud would need the network."""

    def versions(file):
        lines = (ROOT / file).read_text().splitlines()
        return {line.split(" ")[0] for line in lines if "==" in line and not line.startswith(("#", " "))}

    assert versions(f"layers/{layer}/requirements.txt") <= versions("requirements/boxcar.lock")
