"""What a printed package size amounts to, so that `1 LB` is told to be `16 OZ`; and other ways to print it."""

import re
from fractions import Fraction

GRAMS = {"OZ": 28.3495, "LB": 453.592, "LBS": 453.592, "G": 1.0, "GM": 1.0, "KG": 1000.0}
MILLILITRES = {
    "OZ": 29.5735, "FL OZ": 29.5735, "ML": 1.0, "L": 1000.0, "LTR": 1000.0,
    "PT": 473.176, "QT": 946.353, "GAL": 3785.41, "GA": 3785.41,
}  # fmt: skip
PIECES = {"CT": 1.0, "PC": 1.0, "PK": 1.0, "DZ": 12.0, "STEM": 1.0, "LOAD": 1.0, "LOADS": 1.0}
KINDS = {"g": GRAMS, "ml": MILLILITRES, "pieces": PIECES}
UNITS = sorted({unit for units in KINDS.values() for unit in units}, key=len, reverse=True)
NUMBER = r"(?:\d+ \d+/\d+|\d+/\d+|\d*\.\d+|\d+)"
# a letter or two of the shelf label, how many the package holds, and the measure of each
SIZE = re.compile(rf"(?:[A-Z]{{1,2}}\s+)?(?:(\d+)\s*(?:PK|CT)?\s*/\s*)?({NUMBER})\s*-?\s*({'|'.join(UNITS)})")
FRACTIONS = ("1/2", "1/3", "1/4", "3/4")  # `1/2 GAL` is half a gallon; `6/12 OZ` six times twelve ounces
TOLERANCE = 0.004  # relative: printed sizes are rounded (16.9 OZ is .5 L), and neighbours on a shelf differ by more
MOST_PIECES = 1000  # what says more is a number of something else: cigarettes are listed as `971788  PK`
# Units that a size may be converted to, and the fewest of each that one would print
CONVERSIONS: dict[str, dict[str, float]] = {
    "g": {"OZ": 1, "LB": 0.5},
    "ml": {"OZ": 1, "GAL": 0.5, "ML": 50, "L": 0.5},
    "pieces": {"CT": 2, "PK": 2, "DZ": 1},
}


def amounts(text: str) -> dict[str, float] | None:
    """Return what a printed size amounts to by kind (g, ml, pieces), or None where it is not understood.

    An ounce is of mass or of volume, which the label leaves to the reader, so `16 OZ` is both 454 g and 473 ml.
    """
    found = SIZE.fullmatch(" ".join(text.upper().split()))
    if found is None:
        return None
    count, number, unit = found.groups()
    if count and f"{count}/{number}" in FRACTIONS:
        count, number = None, f"{count}/{number}"
    value = int(count or 1) * float(sum(Fraction(part) for part in number.split()))
    known = {kind: units[unit] * value for kind, units in KINDS.items() if unit in units}
    return known if value and known.get("pieces", 0) <= MOST_PIECES else None


def same(one: dict[str, float], other: dict[str, float]) -> bool:
    """Return whether two sizes agree, within TOLERANCE, in a kind that both have."""
    return any(abs(one[kind] - other[kind]) <= TOLERANCE * one[kind] for kind in one.keys() & other.keys())


def conversions(text: str, kinds: frozenset[str]) -> list[str]:
    """Return other ways to print a size, in units of `kinds`, that amount to the same: totals, with two places at most.

    `kinds` says what an ounce is for the goods in question.
    """
    size = amounts(text) or {}
    ways = []
    for kind in sorted(kinds & size.keys()):
        for unit, least in CONVERSIONS[kind].items():
            number = round(size[kind] / KINDS[kind][unit], 2)
            way = f"{number:g} {unit}"
            if (
                number >= least
                and abs(number * KINDS[kind][unit] - size[kind]) <= TOLERANCE * size[kind]
                and way != text
            ):
                ways.append(way)
    return ways
