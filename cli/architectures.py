"""Architectures on disk: their description, and their code as jobs will fetch it."""

import gzip
import io
import tarfile
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import ClientError

from boxcar.errors import FamilyError
from boxcar.families import Architecture
from boxcar.family_checks import check_architecture
from boxcar.steps import Code
from cli.script_digests import digest_of, script_digests

LEFT_OUT = {"__pycache__", ".pytest_cache", ".DS_Store"}


def read_yaml(path: Path) -> dict[str, Any]:
    """One YAML mapping.

    Raises:
        FamilyError: there is no such file, or it is not a YAML mapping; names file and line.
    """
    try:
        document = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise FamilyError(f"{path}: there is no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FamilyError(f"{path}: is not YAML: {error}") from None
    if not isinstance(document, dict):
        raise FamilyError(f"{path}: holds {type(document).__name__}, not a mapping of fields; see docs/family-file.md")
    return document


def read_architectures(folder: Path) -> dict[str, Architecture]:
    """Every `models/<name>/architecture.yaml`, by name.

    Raises:
        FamilyError: one of them is not valid, or names a script that is not in its folder.
    """
    found = {}
    for path in sorted(folder.glob("*/architecture.yaml")):
        architecture = check_architecture(read_yaml(path), str(path))
        if architecture.architecture != path.parent.name:
            raise FamilyError(f"{path}: architecture: is {architecture.architecture!r}; write {path.parent.name!r}")
        for step in architecture.steps:
            if step.script and not (path.parent / step.script).is_file():
                raise FamilyError(f"{path}: steps.{step.name}.script: {step.script!r} is not a file in {path.parent}")
        found[architecture.architecture] = architecture
    return found


def upload_architecture(folder: Path, s3: Any, bucket: str, family: str) -> Code:
    """Upload the code of an architecture, and know what each of its scripts is made of.

    Each family has a folder of its own, so that whoever may apply one writes no code that another runs.
    """
    files = folder_files(folder)
    return _upload(f"{family}/{folder.name}", files, s3, bucket).model_copy(update={"scripts": script_digests(files)})


def upload_package(folder: Path, s3: Any, bucket: str) -> Code:
    """Upload a package, so that it is one where its archive is unpacked: `import <folder>` finds it."""
    return _upload(
        folder.name, {f"{folder.name}/{name}": body for name, body in folder_files(folder).items()}, s3, bucket
    )


def upload_code(folder: Path, s3: Any, bucket: str) -> Code:
    """Upload a folder of code."""
    return _upload(folder.name, folder_files(folder), s3, bucket)


def _upload(name: str, files: dict[str, bytes], s3: Any, bucket: str) -> Code:
    """Upload files under their digest, unless they are there already.

    The archive goes last: where it is, everything is.
    """
    digest = digest_of(files)
    place = f"code/{name}-{digest}"
    code = Code(digest=digest, archive=f"s3://{bucket}/{place}.tar.gz", prefix=f"s3://{bucket}/{place}/")
    if s3.list_objects_v2(Bucket=bucket, Prefix=f"{place}.tar.gz").get("KeyCount"):
        return code
    for path, body in files.items():
        _put(s3, Bucket=bucket, Key=f"{place}/{path}", Body=body)
    _put(s3, Bucket=bucket, Key=f"{place}.tar.gz", Body=_archive(files))
    return code


def _put(s3: Any, **request: Any) -> None:
    """Write an object that nobody has written: of two uploads at once, neither changes what the other's jobs read."""
    try:
        s3.put_object(**request, IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("PreconditionFailed", "ConditionalRequestConflict"):
            raise


def folder_files(folder: Path) -> dict[str, bytes]:
    """Contents by path in the folder, without what programs leave behind."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not LEFT_OUT.intersection(path.parts)
    }


def _archive(files: dict[str, bytes]) -> bytes:
    """A tar.gz whose bytes depend on names and contents alone."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, body in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(body), 0o644
            tar.addfile(entry, io.BytesIO(body))
    return packed.getvalue()
