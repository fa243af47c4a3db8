"""Code of functions and layers, unpacked once a machine for the many processes, and clouds, that share it."""

import contextlib
import hashlib
import io
import os
import shutil
import tempfile
import threading
import time
import zipfile
from pathlib import Path

KEPT_SECONDS = 7 * 86_400.0  # how long an archive stays that nobody unpacks


class Archives:
    """A folder of unpacked archives: a cache, since archives come with each call.

    Clouds share it, one after the other and at once. So what a function imports is compiled once, not by every cloud.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another cloud removes it
                if time.time() - old.stat().st_mtime > KEPT_SECONDS:
                    shutil.rmtree(old, ignore_errors=True)

    def unpack(self, archive: bytes) -> Path:
        """The folder of a zip's content."""
        folder = self._folder / digest(archive)[:24]
        with self._turn:
            if not folder.exists():
                making = Path(tempfile.mkdtemp(dir=self._folder, prefix="making-"))
                with zipfile.ZipFile(io.BytesIO(archive)) as files:
                    files.extractall(making)  # members that would leave the folder are renamed into it
                try:
                    making.rename(folder)
                except OSError:  # another cloud was faster
                    shutil.rmtree(making)
            os.utime(folder)
        return folder


_digests: dict[int, tuple[bytes, str]] = {}


def digest(archive: bytes) -> str:
    """Return the SHA-256 of an archive; archives live as long as their function, so their identity is a good key."""
    known = _digests.get(id(archive))
    if known is None or known[0] is not archive:
        known = _digests[id(archive)] = (archive, hashlib.sha256(archive).hexdigest())
        if len(_digests) > 256:
            _digests.clear()
    return known[1]
