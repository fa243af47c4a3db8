"""The test of two variants: it cries wolf no more often than it says, however often one looks, and it sees a difference."""

import math
import random

import pytest

from boxcar.serving.sequential import Outcomes, compare, share_interval

ALPHA = 0.05


def decided(rng: random.Random, first: float, second: float, looks: int = 40, each: int = 100) -> str:
    """Look after every `each` outcomes a variant; which variant is called better, if any."""
    one, two = Outcomes(), Outcomes()
    for _ in range(looks):
        for _ in range(each):
            one.add(rng.random() < first)
            two.add(rng.random() < second)
        found = compare(one, two, ALPHA)
        if found and found.p <= ALPHA:
            assert not found.low < 0 < found.high, "the interval and p say the same"
            return "second" if found.difference > 0 else "first"
    return ""


def test_equal_variants_are_seldom_told_apart_though_one_looks_forty_times() -> None:
    rng = random.Random(7)
    wrong = sum(bool(decided(rng, 0.1, 0.1)) for _ in range(300))
    assert wrong / 300 <= ALPHA


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_rare_outcomes_of_a_small_variant_are_seldom_told_apart(share: float) -> None:
    """One in five requests is the second's: it may have had none of them for a while."""
    rng, wrong = random.Random(7), 0
    for _ in range(400):
        ones, counts = [0, 0], [0, 0]
        for _ in range(40):
            for place, each in enumerate((2000, 500)):
                ones[place] += _ones(rng, each, share)
                counts[place] += each
            found = compare(*(Outcomes.of_shares(*side) for side in zip(ones, counts, strict=True)), ALPHA)
            if found and min(counts) >= 1000 and found.p <= ALPHA:
                wrong += 1
                break
    assert wrong / 400 <= ALPHA


def _ones(rng: random.Random, count: int, share: float) -> int:
    """Ones of so many outcomes: few, or all but few, so that a Poisson distribution will do."""
    rare, product, none = 0, rng.random(), math.exp(-count * min(share, 1 - share))  # Knuth's method
    while product > none:
        product *= rng.random()
        rare += 1
    return rare if share < 0.5 else count - rare


@pytest.mark.parametrize(("first", "second", "better"), [(0.10, 0.15, "second"), (0.15, 0.10, "first")])
def test_a_true_difference_is_seen_the_right_way_round(first: float, second: float, better: str) -> None:
    rng = random.Random(7)
    found = [decided(rng, first, second) for _ in range(60)]
    assert found.count(better) >= 57 and found.count(better) + found.count("") == 60


def test_outcomes_add_up() -> None:
    outcomes = Outcomes()
    for value in (1, 0, 0, 1, 1):
        outcomes.add(value)
    other = Outcomes.of_shares(3, 5)
    assert (outcomes.count, outcomes.mean) == (other.count, pytest.approx(other.mean))
    assert outcomes.squares == pytest.approx(other.squares)


def test_nothing_is_said_of_too_little() -> None:
    assert compare(Outcomes(), Outcomes.of_shares(5, 10), ALPHA) is None
    assert compare(Outcomes.of_shares(10, 10), Outcomes.of_shares(10, 10), ALPHA) is None
    assert compare(Outcomes.of_shares(0, 500), Outcomes.of_shares(60, 500), ALPHA).p < ALPHA


def test_a_share_lies_in_its_interval() -> None:
    assert share_interval(0, 0) == (0.0, 1.0)
    low, high = share_interval(10, 100)
    assert (low, high) == (pytest.approx(0.0552, abs=1e-3), pytest.approx(0.1744, abs=1e-3))
