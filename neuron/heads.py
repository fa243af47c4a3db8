"""Train both heads, and the backbone's adapters that both share: python -m neuron.heads [--output FILE].

The backbone stays as published; what is learnt is a low-rank change of each of its matrices (LoRA, Hu 2021), small
enough to be kept beside the code, and merged into the weights when a model is built, so that it costs nothing to run.
"""

import argparse
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from neuron import data
from neuron.model import TwoHeaded
from neuron.quality import TEXTS
from neuron.tokens import Rows, Tokenizer
from neuron.weights import HEADS, load_minilm

RANK, SCALE = 8, 2.0
HELD_OUT = 256  # texts for each head, that backends are checked with
PAIRS, BATCH, RATE = 20_000, 48, 1.5e-3
QUERIES = 24  # in a batch, beside the pairs
LABEL_SMOOTHING = 0.05


class Adapter(nn.Module):
    """A matrix product with a low-rank change: y = W x + b + SCALE · up(down(x)). It begins as no change."""

    def __init__(self, product: nn.Linear) -> None:
        super().__init__()
        self.product = product
        self.down = nn.Parameter(torch.randn(RANK, product.in_features) / RANK)
        self.up = nn.Parameter(torch.zeros(product.out_features, RANK))

    def forward(self, tokens: Tensor) -> Tensor:
        """Take and return (…, features)."""
        return self.product(tokens) + SCALE * functional.linear(functional.linear(tokens, self.down), self.up)


def adapt(model: TwoHeaded) -> list[nn.Parameter]:
    """Put an adapter around each product of each layer; return what is to be trained, the heads among it."""
    model.requires_grad_(False)
    for layer in model.layers:
        for name, part in list(layer.named_children()):
            if isinstance(part, nn.Linear):
                setattr(layer, name, Adapter(part))
    for head in (model.duplicate, model.intent):
        head.requires_grad_(True)
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def learnt(model: TwoHeaded) -> dict[str, Tensor]:
    """Return the adapters and heads of an adapted model by name, in float16."""
    names = ("duplicate.", "intent.")
    kept = {
        name: value
        for name, value in model.state_dict().items()
        if name.startswith(names) or name.endswith((".down", ".up"))
    }
    return {name: value.to(torch.float16).contiguous() for name, value in kept.items()}


def train(
    model: TwoHeaded, pairs: list[data.Pair], queries: list[data.Query], departments: list[str], seed: int = 0
) -> None:
    """Train an adapted model in place, on batches of pairs and queries together."""
    torch.manual_seed(seed)
    parameters = adapt(model)
    steps = len(pairs) // BATCH  # each pair once
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    tokenizer, started = Tokenizer(), time.monotonic()
    endless_pairs, endless_queries = _shuffled(pairs, BATCH, seed), _shuffled(queries, QUERIES, seed + 1)
    model.train()
    for step in range(steps):
        some, asked = next(endless_pairs), next(endless_queries)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            told = _outputs(model, tokenizer.rows([(pair.one, pair.other) for pair in some]))
            meant = _outputs(model, tokenizer.rows([query.text for query in asked]))
        truth = torch.tensor([float(pair.duplicate) for pair in some])
        wanted = torch.tensor([departments.index(query.department) for query in asked])
        loss_pairs = functional.binary_cross_entropy(told[0].float().clamp(1e-6, 1 - 1e-6), truth)
        loss_queries = functional.cross_entropy(meant[1].float(), wanted, label_smoothing=LABEL_SMOOTHING)
        optimizer.zero_grad()
        (loss_pairs + 0.5 * loss_queries).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            print(
                f"{step}/{steps} pairs {loss_pairs:.3f} queries {loss_queries:.3f} {time.monotonic() - started:.0f} s",
                flush=True,
            )
    model.eval()


def _outputs(model: TwoHeaded, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
    return model(*(torch.from_numpy(array) for array in rows))


def _shuffled(items: list, size: int, seed: int) -> Iterator[list]:
    """Yield batches without end, every item once a round."""
    drawn = random.Random(seed)  # noqa: S311
    while True:
        order = drawn.sample(items, len(items))
        for start in range(0, len(order) - size + 1, size):
            yield order[start : start + size]


def held_out(catalogue: list[data.Listing]) -> dict[str, list]:
    """Return texts that training leaves out, with their labels: a fair share of all pairs and queries."""
    queries = data.queries(catalogue, True)
    return {
        "pairs": [pair[:3] for pair in data.pairs(catalogue, True, HELD_OUT)],
        "queries": [list(query) for query in random.Random(0).sample(queries, HELD_OUT)],  # noqa: S311
    }


def main(arguments: list[str] | None = None) -> None:
    """Train and write the heads, and the held-out texts that go with them."""
    from safetensors.torch import save_file

    parser = argparse.ArgumentParser(description="Train the heads on the catalogue.")
    parser.add_argument("--output", type=Path, default=HEADS)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    chosen = parser.parse_args(arguments)
    catalogue = data.read_catalogue()
    departments = data.departments(catalogue)
    TEXTS.write_text(json.dumps(held_out(catalogue), indent=0))
    model = load_minilm(len(departments))
    train(model, data.pairs(catalogue, False, chosen.pairs), data.queries(catalogue, False), departments)
    about = {"departments": json.dumps(departments), "rank": str(RANK), "scale": str(SCALE)}
    save_file(learnt(model), str(chosen.output), metadata=about)


if __name__ == "__main__":
    main()
