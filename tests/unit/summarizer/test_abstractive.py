"""How a document that is longer than the model reads is summarised, with a model that keeps the first words of a text."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.unit.summarizer.test_summarizer import CODE

READS = 50  # words at once


class Words:
    """A tokenizer whose tokens are words."""

    def __call__(self, text: str, **options: Any) -> Any:
        ids = text.split()[: options.get("max_length")]
        return Batch(input_ids=ids)

    def decode(self, ids: list[str], **options: Any) -> str:
        return " ".join(ids)


class Batch(dict):
    """One text's tokens, on any device."""

    def __getattr__(self, name: str) -> Any:
        return self[name]

    def to(self, device: str) -> "Batch":
        return self


class Model:
    """Writes the first `keeps` words of what it reads."""

    config = SimpleNamespace(max_position_embeddings=READS)

    def __init__(self, keeps: int) -> None:
        self.keeps, self.read = keeps, []

    def to(self, device: str) -> "Model":
        return self

    def eval(self) -> "Model":
        return self

    def generate(self, input_ids: list[str], max_new_tokens: int, **options: Any) -> list[list[str]]:
        self.read.append(len(input_ids))
        return [input_ids[: min(self.keeps, max_new_tokens)]]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch):
    """Make the summariser with such a model; answer both."""

    def made(keeps: int) -> tuple[Any, Model]:
        model, torch, transformers = Model(keeps), ModuleType("torch"), ModuleType("transformers")
        torch.cuda = SimpleNamespace(is_available=lambda: False)  # type: ignore[attr-defined]
        torch.no_grad = lambda: pytest.MonkeyPatch.context()  # type: ignore[attr-defined]
        transformers.AutoTokenizer = SimpleNamespace(from_pretrained=lambda source: Words())  # type: ignore[attr-defined]
        transformers.AutoModelForSeq2SeqLM = SimpleNamespace(from_pretrained=lambda source: model)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "torch", torch)
        monkeypatch.setitem(sys.modules, "transformers", transformers)
        monkeypatch.syspath_prepend(str(CODE))
        for name in ("abstractive", "sentences"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        from abstractive import Abstractive  # type: ignore[import-not-found]

        return Abstractive("google/pegasus-large", "/opt/ml/model"), model

    return made


def document(sentences: int) -> str:
    return " ".join(f"Sentence {number} has a few words." for number in range(sentences))


def test_what_fits_is_read_once(load: Any) -> None:
    summarizer, model = load(keeps=6)
    assert summarizer.summarize(document(5), 1) == "Sentence 0 has a few words."
    assert model.read == [30]


def test_what_does_not_fit_is_read_in_parts_of_whole_sentences_and_their_summaries_again(load: Any) -> None:
    summarizer, model = load(keeps=6)
    assert summarizer.summarize(document(80), 1) == "Sentence 0 has a few words."
    assert max(model.read) <= READS and all(count % 6 == 0 for count in model.read)  # sentences have six words
    assert model.read == [48] * 10 + [48, 12] + [12]


def test_a_model_that_does_not_shorten_comes_to_an_end(load: Any) -> None:
    summarizer, model = load(keeps=READS)
    assert len(summarizer.summarize(document(80), 100).split()) <= READS
    assert len(model.read) == 11


def test_a_sentence_that_is_longer_than_the_model_reads_is_cut(load: Any) -> None:
    summarizer, model = load(keeps=6)
    assert summarizer.summarize("word " * 500, 1) == "word word word word word word"
    assert model.read == [READS]
