"""Checkpoints of a training job: fetched before it starts, and sent to S3 while it runs.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html
"""

import logging
import threading
from pathlib import Path
from types import TracebackType

from local.sagemaker.data import Bucket
from local.sagemaker.failures import JobFailure

logger = logging.getLogger(__name__)
DEFAULT_PATH = "/opt/ml/checkpoints"
EVERY = 1.0  # seconds of wall time between two looks at the folder

Signature = tuple[int, int]


class Checkpoints:
    """A folder that is kept in S3 for as long as the context lasts, and once more at its end, however that comes.

    A file is sent when it has changed and then stayed as it is between two looks, so that a half-written one is rarely
    sent; the last look sends what there is. What is deleted here stays in S3.
    """

    def __init__(self, bucket: Bucket, uri: str, folder: Path) -> None:
        self._bucket = bucket
        self._uri = uri.rstrip("/") + "/"
        self._folder = folder
        self._seen: dict[Path, Signature] = {}
        self._sent: dict[Path, Signature] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sagemaker-checkpoints", daemon=True)

    def fetch(self) -> None:
        """Copy what earlier jobs left, if anything.

        Raises:
            JobFailure: it cannot be read.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._bucket.download(self._uri, "S3Prefix", self._folder, may_be_empty=True)
        self._sent = self._look()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        try:
            self._send(self._look())
        except JobFailure:
            if error is None:
                raise
            logger.warning("checkpoints not sent to %s", self._uri, exc_info=True)

    def _watch(self) -> None:
        while not self._ended.wait(EVERY):
            now = self._look()
            try:
                self._send({path: signature for path, signature in now.items() if self._seen.get(path) == signature})
            except JobFailure as failure:
                logger.warning("checkpoints: %s", failure)  # the next look tries again, the last one tells
            self._seen = now

    def _look(self) -> dict[Path, Signature]:
        found: dict[Path, Signature] = {}
        for path in self._folder.rglob("*"):
            try:
                status = path.stat()
            except OSError:
                continue  # it was renamed or deleted meanwhile
            if path.is_file():
                found[path] = (status.st_mtime_ns, status.st_size)
        return found

    def _send(self, files: dict[Path, Signature]) -> None:
        for path, signature in sorted(files.items()):
            if self._sent.get(path) == signature:
                continue
            try:
                self._bucket.put(self._uri + path.relative_to(self._folder).as_posix(), path)
            except JobFailure as failure:
                if isinstance(failure.__cause__, FileNotFoundError):
                    continue
                raise
            self._sent[path] = signature
