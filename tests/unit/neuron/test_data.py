"""Pairs and queries: labels that hold, one difference, nothing of what is held out in training."""

import re

import pytest

from neuron import sizes
from neuron.data import DIFFERENCES, Listing, Pair, departments, is_held_out, pairs, queries

FIRST = re.compile(r"(?P<type>type \d+) (?P<size>.+) (?P<brand>\w+) brand, manufacturer (?P<manufacturer>\d+)")
SECOND = re.compile(r"manufacturer (?P<manufacturer>\d+), (?P<brand>\w+) brand, (?P<size>.+) (?P<type>type \d+)")


@pytest.fixture(scope="module")
def catalogue() -> list[Listing]:
    printed = ["16 OZ", "1 LB", "8 OZ", "2 LB", "12 OZ"]
    return [
        Listing(
            maker, brand, "GROCERY" if kind % 3 else "DELI", "ANY", f"TYPE {kind}", printed[(kind + maker + at) % 5]
        )
        for kind in range(60)
        for maker in range(1, 5)
        for brand in ("National", "Private")
        for at in range(3)
    ] + [Listing(1, "National", "POSTAL CENTER", "ANY", "STAMPS", "1 CT"), Listing(1, "National", "", "", "", "")]


def read(pair: Pair) -> tuple[dict, dict]:
    one, other = FIRST.fullmatch(pair.one), SECOND.fullmatch(pair.other)
    assert one and other, pair
    return one.groupdict(), other.groupdict()


def alike(one: dict, other: dict, field: str) -> bool:
    if field != "size":
        return one[field] == other[field]
    return sizes.same(sizes.amounts(one["size"]) or {}, sizes.amounts(other["size"]) or {})


def test_duplicates_are_one_product_and_the_others_differ_in_one_thing(catalogue: list[Listing]) -> None:
    found = pairs(catalogue, False, 300)
    assert sum(pair.duplicate for pair in found) == 150
    for pair in found:
        one, other = read(pair)
        differing = [field for field in (*DIFFERENCES, "brand") if not alike(one, other, field)]
        assert differing == ([] if pair.duplicate else [pair.differs]), pair
    assert {pair.differs for pair in found} == {"order", "notation", *DIFFERENCES}


def test_no_type_is_on_both_sides(catalogue: list[Listing]) -> None:
    seen = {side: {read(pair)[0]["type"] for pair in pairs(catalogue, side, 200)} for side in (True, False)}
    asked = {side: {query.text for query in queries(catalogue, side)} for side in (True, False)}
    assert seen[True] and seen[False] and not seen[True] & seen[False]
    assert asked[True] and asked[False] and not asked[True] & asked[False]
    assert all(is_held_out(text.upper()) for text in seen[True] | asked[True])


def test_both_labels_are_written_alike(catalogue: list[Listing]) -> None:
    found = pairs(catalogue, False, 1000)
    share = {label: [" 0.5 lb " in pair.other for pair in found if pair.duplicate == label] for label in (True, False)}
    assert abs(sum(share[True]) / 500 - sum(share[False]) / 500) < 0.1  # how a size is written gives nothing away


def test_the_same_seed_gives_the_same_pairs(catalogue: list[Listing]) -> None:
    assert (
        pairs(catalogue, True, 50, seed=3) == pairs(catalogue, True, 50, seed=3) != pairs(catalogue, True, 50, seed=4)
    )


def test_a_department_of_few_types_is_no_intent(catalogue: list[Listing]) -> None:
    assert departments(catalogue) == ["DELI", "GROCERY"]
    assert {query.department for query in queries(catalogue, False)} == {"DELI", "GROCERY"}
