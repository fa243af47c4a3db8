"""The rules behind the labels: sizes are read right, and outcomes follow from physics, not from chance."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.package_rules import LABELS, Size, goods_of, package_tests, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("22 LB", Size(grams=22 * 453.6)),
        ("14.5 OZ", Size(grams=14.5 * 28.35)),
        (".15 OZ", Size(grams=0.15 * 28.35)),
        ("1/2 OZ", Size(grams=0.5 * 28.35)),
        ("1 1/16 OZ", Size(grams=(1 + 1 / 16) * 28.35)),
        ("9 5/8 OZ", Size(grams=9.625 * 28.35)),
        ("3/4 OZ", Size(grams=0.75 * 28.35)),
        ("6/12 OZ", Size(grams=72 * 28.35)),
        ("8/6.75 OZ", Size(grams=8 * 6.75 * 28.35)),
        ("12 PK/12 OZ", Size(grams=144 * 28.35)),
        ("10 CT/11.5 Z", Size(grams=115 * 28.35)),
        ("750 ML", Size(millilitres=750)),
        ("2 L*", Size(millilitres=2000)),
        ("1/2 GAL", Size(millilitres=1892.5)),
        ("HALF GAL", Size(millilitres=1892.5)),
        ("GAL", Size(millilitres=3785)),
        ("8.45 FL OZ", Size(millilitres=8.45 * 29.57)),
        ("300 CT(1)", Size(pieces=300)),
        ("1 DZ", Size(pieces=12)),
        ("32 LOAD", Size(pieces=32)),
    ],
)
def test_sizes_are_read(text, size):
    read = parse_size(text)
    assert read is not None
    assert (read.grams, read.millilitres, read.pieces) == pytest.approx((size.grams, size.millilitres, size.pieces))


@pytest.mark.parametrize("text", [None, "", "LARGE", "CTN", "18 IN", "PK", "0 OZ"])
def test_sizes_that_say_too_little_give_none(text):
    assert parse_size(text) is None


@given(st.text(max_size=20))
def test_no_size_breaks_the_reader(text):
    size = parse_size(text)
    assert size is None or max(size.grams, size.millilitres, size.pieces) > 0


def test_words_are_found_where_they_begin():
    assert goods_of("GROCERY", "BEERS/ALES", "").liquid
    assert not goods_of("PROD-WHS SALES", "", "").liquid
    assert not goods_of("GROCERY", "VEGGIES", "").crushable


def test_cold_goods_are_not_those_in_cans():
    assert goods_of("MEAT-PCKGD", "BACON", "ECONOMY").cold
    assert not goods_of("GROCERY", "MEAT - SHELF STABLE", "CHILI: CANNED").cold


def test_a_sachet_goes_in_a_mailer_and_cat_litter_in_its_own_container():
    spice = goods_of("GROCERY", "SPICES & EXTRACTS", "SPICES & SEASONINGS")
    litter = goods_of("GROCERY", "CAT LITTER", "SCOOP LITTER")
    for product in range(50):
        assert package_tests(product, Size(grams=40), spice) == {"mailer": 1, "bag": 1, "box": 0, "own_container": 0}
        assert package_tests(product, Size(grams=14 * 453.6), litter)["own_container"] == 1


GOODS = st.sampled_from(
    [
        goods_of("GROCERY", "SOFT DRINKS", "CAN CAR"),
        goods_of("GROCERY", "BAG SNACKS", "POTATO CHIPS"),
        goods_of("GROCERY", "FROZEN PIZZA", "SNACKS"),
        goods_of("DRUG GM", "CANDY - PACKAGED", "BAGS"),
        goods_of("GROCERY", "PNT BTR/JELLY/JAMS", "PRESERVES JAM"),
    ]
)


@given(st.integers(1, 10**7), GOODS, st.floats(1, 10_000), st.floats(1.01, 10))
def test_more_of_a_thing_never_fits_where_less_of_it_did_not(product, goods, grams, factor):
    less, more = (package_tests(product, Size(grams=g), goods) for g in (grams, grams * factor))
    for label in ("mailer", "bag"):
        assert more[label] <= less[label]


@given(st.integers(1, 10**7), GOODS, st.floats(1, 10_000))
def test_outcomes_are_the_same_every_time(product, goods, grams):
    outcome = package_tests(product, Size(grams=grams), goods)
    assert outcome == package_tests(product, Size(grams=grams), goods)
    assert tuple(outcome) == LABELS
    assert set(outcome.values()) <= {0, 1}


def test_what_fits_no_box_ships_as_it_is_more_often():
    """own_container depends on box: so a model of one helps a model of the other."""
    candy = goods_of("DRUG GM", "CANDY - PACKAGED", "BAGS")
    boxed, unboxed = [], []
    for product in range(1, 4000):
        outcome = package_tests(product, Size(grams=product * 2.0), candy)
        if product * 2.0 > 2000:
            (boxed if outcome["box"] else unboxed).append(outcome["own_container"])
    assert sum(unboxed) / len(unboxed) > 0.5 > sum(boxed) / len(boxed)
