"""LexRank: the sentences of a document that are most like all its others.

Erkan and Radev, "LexRank: Graph-based Lexical Centrality as Salience in Text Summarization", JAIR 22 (2004), the
continuous variant: a sentence is a TF-IDF vector, two sentences are joined by the cosine of their vectors, and the
score of a sentence is its PageRank in that graph. The graph of n sentences has n² edges and is never built: one step of
the power iteration multiplies by the sparse sentence-term matrix and by its transpose, so a book takes seconds.
"""

from __future__ import annotations

import numpy as np
from sentences import split_sentences

DAMPING = 0.85  # as in the paper
TOLERANCE = 1e-8  # sum of absolute changes of the scores, which sum to 1 at most
SLIGHT = 1e-9  # sum of cosines that is rounding
MOST_STEPS = 200
ALIKE = 0.6  # cosine from which a sentence says what one that was picked has said


class LexRank:
    """Picks sentences; it has learned nothing, so it needs no weights and knows every document's own words."""

    name = "lexrank"

    def summarize(self, text: str, sentences: int) -> str:
        """The `sentences` most central sentences, in the order of the document; all of them if it has no more."""
        found = split_sentences(text)
        if len(found) <= sentences:
            return " ".join(found)
        vectors = _vectors(found)
        if vectors is None:
            return " ".join(found[:sentences])
        picked = _pick(vectors, scores(vectors), sentences)
        return " ".join(found[index] for index in sorted(picked))


def scores(vectors) -> np.ndarray:  # type: ignore[no-untyped-def]  # scipy.sparse, rows of length 1 or 0
    """PageRank of the rows by cosine; shape (n,). A row that is like no other gets (1 - DAMPING) / n."""

    def to_others(weights: np.ndarray) -> np.ndarray:
        """The matrix of cosines without its diagonal, by a vector: a sentence does not speak for itself."""
        return vectors @ (vectors.T @ weights) - own * weights

    count = vectors.shape[0]
    own = np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel()
    degree = to_others(np.ones(count))
    linked = degree > SLIGHT
    score = np.full(count, 1 / count)
    for _ in range(MOST_STEPS):
        shared = np.divide(score, degree, out=np.zeros(count), where=linked)
        following = (1 - DAMPING) / count + DAMPING * to_others(shared)
        change = np.abs(following - score).sum()
        score = following
        if change < TOLERANCE:
            break
    return score


def _vectors(sentences: list[str]):  # type: ignore[no-untyped-def]  # scipy.sparse.csr_matrix, or None
    """TF-IDF of each sentence, of length 1; None for a document without a word to weigh."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    try:
        return TfidfVectorizer(stop_words="english", dtype=np.float64).fit_transform(sentences)
    except ValueError:  # "empty vocabulary": nothing but stop words and signs
        return None


def _pick(vectors, score: np.ndarray, count: int) -> list[int]:  # type: ignore[no-untyped-def]
    """The best rows, leaving out those that are much like one picked before, unless there are too few others."""
    order = np.argsort(-score, kind="stable").tolist()
    picked: list[int] = []
    for index in order:
        if len(picked) == count:
            break
        if not picked or (vectors[picked] @ vectors[index].T).max() < ALIKE:
            picked.append(index)
    return picked + [index for index in order if index not in picked][: count - len(picked)]
