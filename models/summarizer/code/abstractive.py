"""PEGASUS, BART, T5 and their like: a sequence-to-sequence model writes the summary.

Such a model reads some hundred tokens at once (PEGASUS 512 or 1,024). A longer document is summarised part by part, and
the summaries of its parts are summarised again until they fit: what a sentence of the whole says about a book this way
is about its parts, which is what these models can do.
"""

from __future__ import annotations

from typing import Any

from sentences import split_sentences

TOKENS = 1024  # read at once, unless the model's configuration says so
TOKENS_PER_SENTENCE = 40  # of a summary, at most
BEAMS = 4


class Abstractive:
    """A model of the Hugging Face hub, on a GPU if there is one."""

    def __init__(self, name: str, source: str) -> None:
        """`source` is the name on the hub, or a folder with the weights."""
        import torch
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        self.name = name
        self._torch = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._tokenizer: Any = AutoTokenizer.from_pretrained(source)
        self._model: Any = AutoModelForSeq2SeqLM.from_pretrained(source).to(self._device).eval()
        self._most = int(getattr(self._model.config, "max_position_embeddings", None) or TOKENS)

    def summarize(self, text: str, sentences: int) -> str:
        """A summary of at most `sentences` × 40 tokens."""
        parts = self._parts(text)
        while len(parts) > 1:
            shorter = self._parts(" ".join(self._write(part, sentences) for part in parts))
            if len(shorter) >= len(parts):  # it does not get shorter: the first parts say it
                return self._write(shorter[0], sentences)
            parts = shorter
        return self._write(parts[0], sentences)

    def _parts(self, text: str) -> list[str]:
        """Whole sentences, together no longer than the model reads; a longer sentence is cut when it is read."""
        parts: list[list[str]] = [[]]
        room = self._most
        for sentence in split_sentences(text):
            tokens = len(self._tokenizer(sentence).input_ids)
            if tokens > room and parts[-1]:
                parts.append([])
                room = self._most
            parts[-1].append(sentence)
            room -= tokens
        return [" ".join(part) for part in parts]

    def _write(self, text: str, sentences: int) -> str:
        read = self._tokenizer(text, truncation=True, max_length=self._most, return_tensors="pt").to(self._device)
        with self._torch.no_grad():
            written = self._model.generate(
                **read, max_new_tokens=sentences * TOKENS_PER_SENTENCE, num_beams=BEAMS, no_repeat_ngram_size=3
            )
        return str(self._tokenizer.decode(written[0], skip_special_tokens=True)).strip()
