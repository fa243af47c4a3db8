"""`boxcar package`: equal content has one version, other content the next, counted from what ECR holds."""

import json
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import boto3
import click
import pytest
from click.testing import CliRunner
from moto import mock_aws

from boxcar.versions import Version
from cli.images import Content, Numbered, number, package, read_content
from cli.session import Session

OLD, NEW = Content("a" * 16, "1" * 16), Content("a" * 16, "2" * 16)
REBASED = Content("b" * 16, "3" * 16)  # with another Dockerfile


@pytest.mark.parametrize(
    ("images", "content", "expected"),
    [
        ([], OLD, "1.0.0"),
        ([["latest"], ["content-x", "v1.0"]], OLD, "1.0.0"),
        ([["1.0.0", OLD.tag]], NEW, "1.0.1"),
        ([["1.0.9", OLD.tag], ["1.0.10", "content-aaaaaaaaaaaaaaaa-0"]], NEW, "1.0.11"),
        ([["1.0.3", OLD.tag]], REBASED, "1.1.0"),
        ([["1.0.3"]], OLD, "1.0.4"),
        ([["1.0.0", OLD.tag], ["1.0.1"]], NEW, "1.0.2"),  # the push of 1.0.1 was interrupted: it is not given again
        ([["1.0.0", OLD.tag], ["1.0.1"]], REBASED, "1.1.0"),
    ],
)
def test_other_content_has_the_next_version(images: list[list[str]], content: Content, expected: str) -> None:
    for ordered in permutations(images):
        assert number(content, ordered) == Numbered(Version.parse(expected), pushed=False)


def test_the_same_content_has_the_same_version_though_newer_ones_are_there() -> None:
    images = [["1.0.0", OLD.tag], ["1.0.1", NEW.tag, "latest"], ["2.0.0", REBASED.tag]]
    for ordered in permutations(images):
        assert number(NEW, ordered) == Numbered(Version(1, 0, 1), pushed=True)


def test_content_without_a_version_is_refused_with_the_tag() -> None:
    with pytest.raises(click.ClickException, match=f"tag {OLD.tag}: its image carries no version; delete it"):
        number(OLD, [[OLD.tag], ["1.0.0"]])


def test_what_programs_leave_behind_is_no_content(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "serve.py").write_text("print(1)\n")
    content = read_content(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "serve.pyc").write_text("left behind")
    assert read_content(tmp_path) == content
    (tmp_path / "serve.py").write_text("print(2)\n")
    code = read_content(tmp_path)
    assert code.recipe == content.recipe and code.folder != content.folder
    (tmp_path / "Dockerfile").write_text("FROM python\n")
    assert read_content(tmp_path).recipe != content.recipe


@pytest.fixture
def ecr(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    with mock_aws():
        yield boto3.client("ecr")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM python:3.13\n")
    return tmp_path


def packaged(folder: Path) -> dict[str, str]:
    done = CliRunner().invoke(package, [str(folder), "--repository", "models/box"], obj=Session("boxcar", local=False))
    assert done.exit_code == 0, done.output
    return dict(line.split("=", 1) for line in done.output.splitlines())


def push(ecr: Any, *images: str) -> None:
    """As `docker push` does: one manifest, under each tag."""
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": {"digest": images[0]}, "layers": []})
    for image in images:
        ecr.put_image(repositoryName="models/box", imageManifest=manifest, imageTag=image.rpartition(":")[2])


def test_a_folder_is_numbered_once(ecr: Any, folder: Path) -> None:
    address = ecr.create_repository(repositoryName="models/box")["repository"]["repositoryUri"]
    first = packaged(folder)
    assert (first["VERSION"], first["IMAGE"], first["BUILD"]) == ("1.0.0", f"{address}:1.0.0", "yes")
    assert packaged(folder) == first  # nothing was pushed
    push(ecr, first["IMAGE"], first["CONTENT_IMAGE"])
    assert packaged(folder) == {**first, "BUILD": "no"}
    (folder / "serve.py").write_text("")
    second = packaged(folder)
    assert (second["VERSION"], second["BUILD"]) == ("1.0.1", "yes")
    push(ecr, second["IMAGE"], second["CONTENT_IMAGE"])
    (folder / "serve.py").unlink()
    assert packaged(folder) == {**first, "BUILD": "no"}


@pytest.mark.usefixtures("ecr")
def test_a_repository_or_a_dockerfile_that_is_not_there_is_named(folder: Path) -> None:
    session = Session("boxcar", local=False)
    done = CliRunner().invoke(package, [str(folder), "--repository", "models/box"], obj=session)
    assert done.exit_code == 1 and "there is no 'models/box' in ECR; make it with `aws ecr create" in done.output
    (folder / "Dockerfile").unlink()
    done = CliRunner().invoke(package, [str(folder), "--repository", "models/box"], obj=session)
    assert done.exit_code == 1 and f"{folder}/Dockerfile: there is no such file" in done.output
