"""Code of functions and layers, unpacked once for the many processes that share it."""

import hashlib
import io
import shutil
import threading
import zipfile
from pathlib import Path


class Archives:
    """A folder of unpacked archives: a cache, since archives come with each call."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = threading.Lock()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def unpack(self, archive: bytes) -> Path:
        """The folder of a zip's content."""
        folder = self._folder / digest(archive)[:24]
        with self._turn:
            if not folder.exists():
                making = folder.with_suffix(".making")
                with zipfile.ZipFile(io.BytesIO(archive)) as files:
                    files.extractall(making)  # members that would leave the folder are renamed into it
                making.rename(folder)
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
