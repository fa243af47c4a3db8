"""Zips of built layers: made once, another one for other content, whole or not there."""

import zipfile
from pathlib import Path
from typing import Any

import pytest

from cli.layers import zip_layers


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def built(folder: Path, **files: str) -> Path:
    """A folder as `sam build` leaves it, with one layer."""
    for name, text in files.items():
        file = folder / "WorkLayer/python/work" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (folder / "template.yaml").write_text("Resources: {}")
    return folder


def test_a_layer_becomes_a_zip_of_what_was_in_it(tmp_path: Path, cache: Path) -> None:
    build = built(tmp_path / "build", one="1", two="2")
    zip_layers(build, cache)
    with zipfile.ZipFile(build / "WorkLayer") as archive:
        assert archive.namelist() == ["python/work/one.py", "python/work/two.py"]
        assert archive.read("python/work/two.py") == b"2"
    assert (build / "template.yaml").read_text() == "Resources: {}"


def test_the_same_layer_is_compressed_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = built(tmp_path / "first", one="1"), built(tmp_path / "second", one="1")
    zip_layers(first, cache)
    monkeypatch.setattr("zipfile.ZipFile.write", None)
    zip_layers(second, cache)
    assert (first / "WorkLayer").read_bytes() == (second / "WorkLayer").read_bytes()


@pytest.mark.parametrize("files", [{"one": "2"}, {"two": "1"}, {"one": "1", "two": ""}])
def test_other_content_is_another_zip(tmp_path: Path, cache: Path, files: dict[str, str]) -> None:
    zip_layers(built(tmp_path / "first", one="1"), cache)
    build = built(tmp_path / "second", **files)
    zip_layers(build, cache)
    with zipfile.ZipFile(build / "WorkLayer") as archive:
        assert {Path(name).stem: archive.read(name).decode() for name in archive.namelist()} == files


def test_a_zip_that_could_not_be_finished_is_not_kept(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    build = built(tmp_path / "build", one="1")
    with monkeypatch.context() as broken, pytest.raises(OSError, match="no space"):
        broken.setattr("zipfile.ZipFile.write", full)
        zip_layers(build, cache)
    assert list(cache.iterdir()) == []
    zip_layers(build, cache)
    assert zipfile.is_zipfile(build / "WorkLayer")
