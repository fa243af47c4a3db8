"""A cell from its document to the accuracy gate, with the trained heads: what compiles, what passes, what does not."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from neuron import compile as job
from neuron import quality
from neuron.backends import backend
from neuron.backends.protocol import Cores, Infer, Outputs, Shape
from neuron.model import Size, TwoHeaded
from neuron.quality import check, of_unit, write_reference
from neuron.storage import Storage

CELL = {"cell": "one", "backend": "torch", "batch": 32, "sequence": 48, "options": {"mode": "eager"}}
TEXTS = 64  # for each head: a quarter of what is kept, which is enough to tell the model from noise


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Infer, Path]:
    folder = tmp_path_factory.mktemp("cell")
    (folder / "cell.json").write_text(json.dumps(CELL))
    kept = json.loads(quality.TEXTS.read_text())
    (folder / "held_out.json").write_text(
        json.dumps({name: texts[:: len(texts) // TEXTS] for name, texts in kept.items()})
    )
    addresses = {"--cell": "cell.json", "--output": "compile.json", "--artifacts": "artifacts"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quality, "TEXTS", folder / "held_out.json")
        assert job.main([part for name, at in addresses.items() for part in (name, f"{folder}/{at}")]) == 0
    said = json.loads((folder / "compile.json").read_text())
    assert said["status"] == "ok", said
    artifact = Storage().fetch_folder(said["artifact"], folder / "unpacked")
    return backend("torch").load(artifact, Cores(0, 1)), artifact


def test_the_model_passes_its_own_gate_and_the_heads_have_learnt(compiled: tuple[Infer, Path]) -> None:
    infer, artifact = compiled
    said = check(infer, Shape(32, 48), artifact)
    assert said["ok"], said
    # neither is chance: half of the pairs are duplicates, three in ten queries are for the largest department
    assert said["duplicate"]["fp32"] > 0.8 and said["intent"]["fp32"] > 0.5
    assert said["duplicate"]["texts"] == said["intent"]["texts"] == TEXTS


def test_a_device_that_answers_noise_is_not_measured(compiled: tuple[Infer, Path]) -> None:
    def noise(*rows: np.ndarray) -> Outputs:
        drawn = np.random.default_rng(0)
        return Outputs(*(drawn.normal(size=shape).astype(np.float32) for shape in ((32,), (32, 17), (32, 384))))

    said = check(noise, Shape(32, 48), compiled[1])
    assert not said["ok"]
    assert (
        "embeddings agree" in said["why"] and "duplicate: accuracy" in said["why"] and "intent: accuracy" in said["why"]
    )


def test_the_load_test_sends_held_out_texts_of_the_unit_that_its_target_counts(compiled: tuple[Infer, Path]) -> None:
    pairs, queries = (of_unit(compiled[1], unit) for unit in ("pairs", "queries"))
    assert pairs.size == queries.size == TEXTS
    assert pairs.ids[0] == queries.ids[0] == 101  # [CLS], with which every text begins
    assert pairs.types.max() == 1 and queries.types.max() == 0  # a pair has two parts


def test_a_random_model_is_asked_texts_of_real_lengths(tmp_path: Path) -> None:
    torch.manual_seed(1)
    write_reference(TwoHeaded(Size(32, 1, 4, 64), 5, slots=4).eval(), 128, [], tmp_path)
    queries = of_unit(tmp_path, "queries")
    assert queries.size >= 64 and max(queries.length(text) for text in range(queries.size)) < 32
