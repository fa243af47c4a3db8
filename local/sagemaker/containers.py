"""Container images, as environments of this machine, and the file system that a container sees."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from local.sagemaker.launcher import Interpreter, Process
from local.service import ApiError, Cloud


@dataclass(frozen=True)
class Image:
    """What stands for a container image here."""

    environment: str  # the lock file in local/environments
    preload: tuple[str, ...]  # what its jobs import, imported once
    framework: str  # its training toolkit's entry, SM_FRAMEWORK_MODULE


# repository:tag of AWS's own registries, without what selects processor and Python
IMAGES = {
    "sagemaker-xgboost:3.0-5": Image(
        environment="sagemaker-xgboost-3.0-5",
        preload=(
            "xgboost",
            "pandas",
            "pyarrow.parquet",
            "pyarrow.dataset",
            "pyarrow.csv",
            "pyarrow.compute",
            "http.server",
            "argparse",
            "csv",
            "logging",
            "tarfile",
        ),
        framework="sagemaker_xgboost_container.training:main",
    ),
}

OPT_ML = re.compile(r"""(?:(?<=^)|(?<=[=:,\s"']))/opt/ml(?=[/:,\s"']|$)""")
PYTHON = re.compile(r"^(?:.*/)?python(?:3(?:\.\d+)?)?$")


class PullError(Exception):
    """An image that is not to be had; the message is what SageMaker says when it cannot pull one."""


class Containers:
    """Makes containers: a private root, an interpreter, and processes in them."""

    def __init__(self, cloud: Cloud, work: Path, images: dict[str, Image], threads: int) -> None:
        self._cloud = cloud
        self._work = work
        self.threads = threads
        self._interpreters: dict[str, Interpreter] = {}
        self.images = dict(images)
        shutil.rmtree(work, ignore_errors=True)  # what a killed process left

    def image(self, uri: str, role_arn: str) -> Image:
        """The image behind a URI of ECR.

        Raises:
            PullError: no environment stands for it.
        """
        found = re.fullmatch(r"(?:(?P<registry>\d+)\.dkr\.ecr\.[^/]+/)?(?P<name>[^@]+?)(?:-cpu-py3)?", uri)
        name = found["name"] if found else uri
        if name in self.images:
            return self.images[name]
        registry = (found["registry"] if found else None) or self._cloud.account
        known = ", ".join(sorted(self.images))
        raise PullError(
            f"Cannot find repository: {name} in registry ID: {registry} Please check if your ECR repository and image "
            f"exist and role {role_arn} has proper pull permissions for SageMaker: ecr:BatchCheckLayerAvailability, "
            f"ecr:BatchGetImage, ecr:GetDownloadUrlForLayer. The embedded cloud has: {known}"
        )

    def interpreter(self, image: Image) -> Interpreter:
        """The warm interpreter of an image.

        Raises:
            PullError: its environment cannot be made.
        """
        if image.environment not in self._interpreters:
            try:
                python = self._cloud.environment(image.environment)
            except (KeyError, RuntimeError) as error:
                raise PullError(f"Cannot pull image {image.environment}: {error}") from error
            self._interpreters.setdefault(image.environment, Interpreter(python, image.preload, self.threads))
        return self._interpreters[image.environment]

    def path(self, kind: str, name: str) -> Path:
        """Where the root of a job is."""
        return self._work / f"{kind}-{name}"

    def make(self, root: Path) -> None:
        """Make a root, empty but for the folders that are always there, and the log of an interrupted job."""
        shutil.rmtree(root / "opt", ignore_errors=True)
        for folder in ("input/config", "input/data", "model", "output/data", "code", "config", "tmp"):
            (root / "opt/ml" / folder).mkdir(parents=True)

    def start(self, image: Image, root: Path, argv: list[str], env: dict[str, str], cwd: Path, log: Path) -> Process:
        """Start a process in a root. Arguments and environment values name files under /opt/ml, as in a container."""
        interpreter = self.interpreter(image)
        inside = [rewrite(part, root) for part in argv]
        if PYTHON.match(inside[0]):
            inside[0] = str(interpreter.python)
        base = {
            "PATH": f"{interpreter.python.parent}{os.pathsep}/usr/local/bin:/usr/bin:/bin",
            "HOME": str(root),
            "TMPDIR": str(root / "opt/ml/tmp"),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "AWS_ENDPOINT_URL": self._cloud.endpoint,
            "AWS_REGION": self._cloud.region,
            "AWS_DEFAULT_REGION": self._cloud.region,
            **interpreter.environment,
        }
        return interpreter.start(inside, {**base, **{k: rewrite(v, root) for k, v in env.items()}}, cwd, log)

    def remove(self, root: Path) -> None:
        """Delete a root, unless BOXCAR_LOCAL_KEEP_JOBS says that somebody wants to look into it."""
        if not os.environ.get("BOXCAR_LOCAL_KEEP_JOBS"):
            shutil.rmtree(root, ignore_errors=True)

    def close(self) -> None:
        """End every process."""
        for interpreter in self._interpreters.values():
            interpreter.close()


def inside(field: str, path: str, example: str) -> str:
    """Check that a path of a request lies in the part of a container's file system that is there; return it below that.

    Raises:
        ApiError: ValidationException.
    """
    if not path.startswith("/opt/ml/") or ".." in path.split("/"):
        words = f"{field} = {path!r} is not valid; write an absolute path under /opt/ml/ such as {example}"
        raise ApiError("ValidationException", words)
    return path.removeprefix("/opt/ml/").strip("/")


def rewrite(text: str, root: Path) -> str:
    """Put a job's own root in front of /opt/ml, at the start of a text or of a value in it."""
    return OPT_ML.sub(lambda _: str(root / "opt/ml"), text)
