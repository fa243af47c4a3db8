"""Printed sizes: what they amount to, when two are one, and that another way to print one says the same."""

import pytest

from neuron.sizes import amounts, conversions, same


@pytest.mark.parametrize(
    ("text", "kind", "amount"),
    [
        ("16 OZ", "g", 453.592),
        ("1 LB", "g", 453.592),
        ("1/2 GAL", "ml", 1892.705),
        ("6/12 OZ", "ml", 2129.292),
        ("6 PK/12 OZ", "g", 2041.164),
        ("P    9 OZ", "g", 255.1455),
        ("1 1/2 LB", "g", 680.388),
        (".5 L", "ml", 500),
        ("2 DZ", "pieces", 24),
    ],
)
def test_a_size_amounts_to(text: str, kind: str, amount: float) -> None:
    assert (amounts(text) or {})[kind] == pytest.approx(amount, rel=1e-4)


@pytest.mark.parametrize("text", ["", "LARGE", "CTN", "971788  PK", "0 OZ", "18 IN", "1 LB 3 OZ"])
def test_what_is_no_size_is_not_guessed_at(text: str) -> None:
    assert amounts(text) is None


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("16 OZ", "1 LB", True),
        ("64 OZ", "1/2 GAL", True),
        ("16.9 OZ", ".5 L", True),
        ("6/12 OZ", "72 OZ", True),
        ("1 LB", "1 PT", False),  # an ounce is both, a pound and a pint are not
        ("10.5 OZ", "10.6 OZ", False),
        ("12 CT", "12 OZ", False),
    ],
)
def test_two_sizes_are_one(one: str, other: str, alike: bool) -> None:
    assert same(amounts(one) or {}, amounts(other) or {}) == alike


def test_what_an_ounce_may_become_depends_on_the_goods() -> None:
    assert conversions("16 OZ", frozenset({"g"})) == ["1 LB"]
    assert "473.18 ML" in conversions("16 OZ", frozenset({"ml"})) and "1 LB" not in conversions(
        "16 OZ", frozenset({"ml"})
    )
    assert conversions("16 OZ", frozenset()) == [] == conversions("LARGE", frozenset({"g"}))


@pytest.mark.parametrize("text", ["16 OZ", "750 ML", "6/12 OZ", "1/2 GAL", "24 CT", "2.5 LB", "33.8 OZ"])
def test_another_way_says_the_same(text: str) -> None:
    ways = conversions(text, frozenset({"g", "ml", "pieces"}))
    assert ways
    assert all(same(amounts(way) or {}, amounts(text) or {}) for way in ways)
