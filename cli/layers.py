"""Built layers as zips that are made once a machine: SAM would compress the same 75 MB again for each deployment."""

import hashlib
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

CACHE = Path(".boxcar/cache/layers")


def zip_layers(build_folder: Path, cache: Path = CACHE) -> None:
    """Put a zip in the place of each layer that `sam build` has left: SAM uploads a file as it is.

    The zips are kept under the digest of their content, so a changed layer is another zip.

    Args:
        build_folder: holds a folder for each layer, called as in the built template.
        cache: where the zips stay.
    """
    for layer in sorted(path for path in build_folder.iterdir() if path.is_dir()):
        kept = _zip_of(layer, cache)
        shutil.rmtree(layer)
        shutil.copyfile(kept, layer)


def _zip_of(folder: Path, cache: Path) -> Path:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    kept = cache / f"{_digest(folder, files)}.zip"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        handle, making = tempfile.mkstemp(dir=cache, suffix=".making")  # two deployments may make it at once
        try:
            with os.fdopen(handle, "wb") as target, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
                for file in files:
                    archive.write(file, file.relative_to(folder))
            Path(making).replace(kept)
        finally:
            Path(making).unlink(missing_ok=True)
    return kept


def _digest(folder: Path, files: list[Path]) -> str:
    """SHA-256 of names, modes and contents."""
    found = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            told = hashlib.file_digest(content, "sha256").hexdigest()
        found.update(f"{file.relative_to(folder)}\0{file.stat().st_mode:o}\0{told}\n".encode())
    return found.hexdigest()
