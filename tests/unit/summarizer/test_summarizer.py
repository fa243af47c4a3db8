"""The summariser, in the environment that stands for SageMaker's image: real sentences, real scores."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.environments import environment
from local.sagemaker.containers import IMAGES

CODE = Path(__file__).resolve().parents[3] / "models/summarizer/code"
ASK = """
import json, sys
sys.path.insert(0, sys.argv[1])
import inference, sentences
model, told = inference.model_fn("/opt/ml/model"), []
for body, kind in json.load(sys.stdin):
    try:
        told.append(json.loads(inference.output_fn(inference.predict_fn(inference.input_fn(body, kind), model), "")))
    except ValueError as error:
        told.append(str(error))
print(json.dumps(told))
"""
ABOUT = """The release machine updates an endpoint. An update of an endpoint launches a second fleet of instances.
The endpoint sends a part of its requests to the second fleet of instances. If the alarms of the endpoint ring, the
endpoint sends all requests back to the first fleet of instances. My cat likes cheese. It rained on Tuesday."""
TWICE = "Endpoints serve models to callers. Endpoints serve models to callers. Cats sleep all day. Dogs bark at night."


@pytest.fixture(scope="module")
def ask() -> Callable[..., list[Any]]:
    python = environment(IMAGES["sagemaker-xgboost:3.0-5"].environment)

    def asked(*requests: tuple[str, str]) -> list[Any]:
        done = subprocess.run(
            [python, "-c", ASK, str(CODE)], input=json.dumps(requests), capture_output=True, text=True, check=True
        )
        found: list[Any] = json.loads(done.stdout)
        return found

    return asked


def test_documents_and_what_is_none(ask: Callable[..., list[Any]]) -> None:
    three = json.dumps({"text": ABOUT, "sentences": 3})
    long = " ".join(f"Chapter {number} says that instance {number % 7} is busy." for number in range(5000))
    picked, once, whole, book, stop_words, *refused = ask(
        (three, "application/json"),
        (json.dumps({"text": TWICE, "sentences": 3}), "application/json"),
        ("One sentence only. And Dr. Who is one, too.", "text/plain; charset=utf-8"),
        (long, "text/markdown"),
        ("A an the. Of it is. To be or. Not to be. The the. A a.", "text/plain"),
        ("x", "application/pdf"),
        ("[]", "application/json"),
        ("{", "application/json"),
        ('{"text": "x", "sentences": 0}', "application/json"),
        ("  ", "text/plain"),
    )
    assert "cat" not in picked["summary"] and "rained" not in picked["summary"]
    assert picked["summary"].count(".") == 3 and "fleet of instances" in picked["summary"]
    kept = [ABOUT.replace("\n", " ").index(sentence[:40]) for sentence in picked["summary"].split(". ")]
    assert kept == sorted(kept)  # in the order of the document
    assert picked["document_characters"] == len(ABOUT) and picked["summarizer"] == "lexrank"
    assert once["summary"].count("Endpoints") == 1  # what was said is not said again
    assert whole["summary"] == "One sentence only. And Dr. Who is one, too."
    assert book["summary"].count("Chapter") == 5
    assert stop_words["summary"] == "A an the. Of it is. To be or. Not to be. The the."
    words = ["send text/plain, text/markdown", "text: is missing", "is not JSON", "from 1 to 100", "is empty"]
    assert [word in refusal for word, refusal in zip(words, refused, strict=True)] == [True] * 5, refused
