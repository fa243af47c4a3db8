"""What the endpoint takes, looked at before it is asked."""

from boxcar.errors import DocumentRefused

TYPES = {"text/plain", "text/markdown", "application/json"}
ENDINGS = {".txt": "text/plain", ".text": "text/plain", ".md": "text/markdown", ".json": "application/json"}
UNTOLD = {"", "binary/octet-stream", "application/octet-stream"}  # S3's own word for "nobody said"


def content_type(key: str, told: str) -> str:
    """The MIME type of a document: as it was uploaded with, else by the ending of its name.

    Raises:
        DocumentRefused: it is none that the endpoint reads.
    """
    kind = told.split(";")[0].strip().lower()
    if kind in UNTOLD:
        kind = next((one for ending, one in ENDINGS.items() if key.lower().endswith(ending)), kind)
    if kind not in TYPES:
        known = f"{', '.join(sorted(TYPES))} (files {', '.join(ENDINGS)})"
        raise DocumentRefused(f"{key}: Content-Type is {told or 'not set'!r}; upload one of {known}")
    return kind


def check_size(key: str, size: int, most: int) -> None:
    """Refuse a document of more than `most` bytes, or of none.

    Raises:
        DocumentRefused: names both.
    """
    if not size:
        raise DocumentRefused(f"{key}: is empty; upload the text of the document")
    if size > most:
        raise DocumentRefused(f"{key}: has {size} bytes; send at most {most}, or raise the parameter AsyncMaxBytes")
