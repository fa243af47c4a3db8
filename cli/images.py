"""`boxcar package`: which version an image of a folder is, counted from the tags its repository in ECR has.

An image carries two tags: its version, and `content-…`, which says what it was built of. So nobody types a version, and
what was built before is not built again.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import click

from boxcar.versions import FIRST, Version
from cli.architectures import folder_files
from cli.script_digests import digest_of
from cli.session import Session

RECIPE = "Dockerfile"


class Content(NamedTuple):
    """What an image is built of."""

    recipe: str  # digest of its Dockerfile, 16 hex digits
    folder: str  # digest of every file, 16 hex digits

    @property
    def tag(self) -> str:
        """The tag that an image built of this carries."""
        return f"content-{self.recipe}-{self.folder}"


class Numbered(NamedTuple):
    """The version of a content, and whether an image of it is there already."""

    version: Version
    pushed: bool


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--repository", required=True, help="Name of the repository in ECR.")
@click.pass_obj
def package(session: Session, folder: Path, repository: str) -> None:
    """Say which version the image of FOLDER is, as lines that a shell reads. Nothing is built and nothing pushed.

    The same content has the same version, and BUILD=no. Other content has the next one: minor if its Dockerfile is
    another than that of the newest image, else patch. Push IMAGE first, CONTENT_IMAGE last.
    """
    content = read_content(folder)
    address, images = read_repository(session.client("ecr"), repository)
    version, pushed = number(content, images)
    click.echo(f"VERSION={version}")
    click.echo(f"IMAGE={address}:{version}")
    click.echo(f"CONTENT_IMAGE={address}:{content.tag}")
    click.echo(f"BUILD={'no' if pushed else 'yes'}")


def read_content(folder: Path) -> Content:
    """Digest the folder that an image is built of.

    Raises:
        click.ClickException: it has no Dockerfile.
    """
    files = folder_files(folder)
    if RECIPE not in files:
        raise click.ClickException(f"{folder / RECIPE}: there is no such file; an image is built of a folder with one")
    return Content(digest_of({RECIPE: files[RECIPE]}), digest_of(files))


def number(content: Content, images: Iterable[Iterable[str]]) -> Numbered:
    """Give a content the version of the image built of it, else the next one.

    Args:
        content: what is to be an image.
        images: the tags of every image in the repository, in any order. A version without a content tag is a push that
            was interrupted: it is never given again.

    Raises:
        click.ClickException: an image of this content is there, without a version.
    """
    versions: list[Version] = []
    recipes: dict[Version, str] = {}
    for tags in images:
        found, contents = _read_tags(tags)
        if content in contents:
            if not found:
                raise click.ClickException(f"tag {content.tag}: its image carries no version; delete it from ECR")
            return Numbered(max(found), pushed=True)
        versions += found
        recipes |= {version: contents[0].recipe for version in found if contents}
    if not versions:
        return Numbered(FIRST, pushed=False)
    same = not recipes or recipes[max(recipes)] == content.recipe
    return Numbered(max(versions).after("patch" if same else "minor"), pushed=False)


def read_repository(ecr: Any, name: str) -> tuple[str, list[list[str]]]:
    """Read the address of a repository, and the tags of each of its images.

    Args:
        ecr: needs ecr:DescribeRepositories and ecr:DescribeImages on the repository.
        name: of the repository.

    Raises:
        click.ClickException: there is no such repository.
    """
    try:
        address: str = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]["repositoryUri"]
    except ecr.exceptions.RepositoryNotFoundException:
        how = f"aws ecr create-repository --repository-name {name} --image-tag-mutability IMMUTABLE"
        raise click.ClickException(f"--repository: there is no {name!r} in ECR; make it with `{how}`") from None
    pages = ecr.get_paginator("describe_images").paginate(repositoryName=name, filter={"tagStatus": "TAGGED"})
    return address, [image["imageTags"] for page in pages for image in page["imageDetails"]]


def _read_tags(tags: Iterable[str]) -> tuple[list[Version], list[Content]]:
    """The versions and contents among the tags of one image; others, such as `latest`, say nothing."""
    versions, contents = [], []
    for tag in tags:
        match tag.split("-"):
            case ["content", recipe, folder]:
                contents.append(Content(recipe, folder))
            case _:
                try:
                    versions.append(Version.parse(tag))
                except ValueError:
                    continue
    return versions, contents
