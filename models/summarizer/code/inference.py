"""Serve a summariser: one document in, its summary out, under the contract of SageMaker's framework containers.

Both SageMaker's XGBoost image and its Hugging Face image call model_fn once a worker, then input_fn, predict_fn and
output_fn for each request. The container's environment chooses how documents are summarised:

- SUMMARIZER: `lexrank`, which picks the document's own sentences and needs NumPy, SciPy and scikit-learn (the XGBoost
  image has them), or the name of a sequence-to-sequence model on the Hugging Face hub, such as google/pegasus-large,
  which writes sentences of its own and needs PyTorch and transformers (the Hugging Face image has them). Weights that
  lie beside code/ in the model archive go before those of the hub.
- SUMMARY_SENTENCES: how many sentences a summary has, where the request does not say.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lexrank import LexRank

SENTENCES = 5


class Summarizer(Protocol):
    """How documents are summarised."""

    name: str

    def summarize(self, text: str, sentences: int) -> str:
        """A summary of about so many sentences."""


@dataclass(frozen=True)
class Request:
    """One document."""

    text: str
    sentences: int


def model_fn(model_dir: str) -> Summarizer:
    """Load what SUMMARIZER names."""
    name = os.environ.get("SUMMARIZER", LexRank.name)
    if name == LexRank.name:
        return LexRank()
    from abstractive import Abstractive

    has_weights = Path(model_dir, "config.json").is_file()
    return Abstractive(name, model_dir if has_weights else name)


def input_fn(body: bytes | str, content_type: str) -> Request:
    """Read a document: text as it is, or JSON `{"text": "…", "sentences": 3}`.

    Raises:
        ValueError: it is neither, or holds no text.
    """
    kind = content_type.split(";")[0].strip().lower()
    try:
        text = body if isinstance(body, str) else bytes(body).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"the document is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    sentences: Any = int(os.environ.get("SUMMARY_SENTENCES", SENTENCES))
    if kind == "application/json":
        try:
            document = json.loads(text)
        except ValueError as error:
            raise ValueError(f'the document is not JSON: {error}; send {{"text": "…"}}') from None
        if not isinstance(document, dict) or not isinstance(document.get("text"), str):
            raise ValueError('text: is missing or not a text; send {"text": "…", "sentences": 3}')
        text, sentences = document["text"], document.get("sentences", sentences)
    elif kind not in ("text/plain", "text/markdown"):
        raise ValueError(f"Content-Type is {content_type!r}; send text/plain, text/markdown or application/json")
    if not isinstance(sentences, int) or not 1 <= sentences <= 100:
        raise ValueError(f"sentences: is {sentences!r}; write a whole number from 1 to 100")
    if not text.strip():
        raise ValueError("the document is empty")
    return Request(text, sentences)


def predict_fn(request: Request, model: Summarizer) -> dict[str, Any]:
    """Summarise; counts are of characters."""
    summary = model.summarize(request.text, request.sentences)
    return {
        "summary": summary,
        "summarizer": model.name,
        "document_characters": len(request.text),
        "summary_characters": len(summary),
    }


def output_fn(prediction: dict[str, Any], accept: str) -> str:
    """JSON, whatever was asked for."""
    return json.dumps(prediction, ensure_ascii=False)
