"""How good the heads are, beside what needs no model: python -m neuron.evaluation. Two minutes on two cores.

Held out by type (see `data`). A rule that reads sizes would solve every pair, since that is how they are labelled; the
head is to find them from the text alone, as for catalogues whose fields are not split up.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from math import log

import numpy as np
import torch

from neuron import data
from neuron.backends.protocol import Shape
from neuron.backends.torch_cpu import eager
from neuron.quality import answer, wilson
from neuron.tokens import Tokenizer
from neuron.weights import load_trained

PAIRS, SEQUENCE, BATCH = 2000, 64, 50


def main() -> None:
    """Print a table: each head, each kind of pair, and the baselines, with 95 % intervals."""
    torch.set_grad_enabled(False)
    catalogue = data.read_catalogue()
    model, departments = load_trained()
    infer, tokenizer, shape = eager(model), Tokenizer(), Shape(BATCH, SEQUENCE)
    pairs, seen = data.pairs(catalogue, True, PAIRS), data.pairs(catalogue, False, PAIRS)
    said = answer(infer, shape, tokenizer.rows([(pair.one, pair.other) for pair in pairs], SEQUENCE)).duplicate > 0.5
    truth = np.array([pair.duplicate for pair in pairs])
    show("pairs: the duplicate head", said == truth)
    for kind in sorted({(pair.duplicate, pair.differs) for pair in pairs}):
        ours = np.array([(pair.duplicate, pair.differs) == kind for pair in pairs])
        show(f"  {'duplicates' if kind[0] else 'not'}, differ in {kind[1]}", (said == truth)[ours])
    show("pairs: share of words in common, best threshold", by_overlap(seen)(pairs) == truth)
    queries, known = data.queries(catalogue, True), data.queries(catalogue, False)
    wanted = np.array([departments.index(query.department) for query in queries])
    meant = answer(infer, shape, tokenizer.rows([query.text for query in queries], SEQUENCE)).intent.argmax(-1)
    show("queries: the intent head", meant == wanted)
    words = by_words(known)
    show("queries: bag of words (naive Bayes)", np.array([words(query.text) == query.department for query in queries]))
    most = Counter(query.department for query in known).most_common(1)[0][0]
    show("queries: the largest department", np.array([query.department == most for query in queries]))


def show(what: str, right: np.ndarray) -> None:
    """Print one line of the table."""
    low, high = wilson(int(right.sum()), len(right))
    print(f"{what:<50} {right.mean():.3f}  [{low:.3f}, {high:.3f}]  n={len(right)}", flush=True)


def by_overlap(seen: Sequence[data.Pair]) -> Callable[[Sequence[data.Pair]], np.ndarray]:
    """Return a rule: duplicates share so many of their words (Jaccard) as separates those that were seen best."""

    def overlap(pairs: Sequence[data.Pair]) -> np.ndarray:
        words = [[set(text.replace(",", "").split()) for text in pair[:2]] for pair in pairs]
        return np.array([len(one & other) / len(one | other) for one, other in words])

    shares, truth = overlap(seen), np.array([pair.duplicate for pair in seen])
    threshold = max(np.unique(shares), key=lambda least: ((shares >= least) == truth).mean())
    return lambda pairs: overlap(pairs) >= threshold


def by_words(seen: Sequence[data.Query]) -> Callable[[str], str]:
    """Return multinomial naive Bayes over words, one added to every count."""
    words: dict[str, Counter[str]] = defaultdict(Counter)
    for query in seen:
        words[query.department].update(query.text.split())
    size = len({word for counts in words.values() for word in counts})
    prior = Counter(query.department for query in seen)

    def score(department: str, text: str) -> float:
        counts = words[department]
        total = sum(counts.values()) + size
        return log(prior[department]) + sum(log((counts[word] + 1) / total) for word in text.split())

    return lambda text: max(sorted(words), key=lambda department: score(department, text))


if __name__ == "__main__":
    main()
