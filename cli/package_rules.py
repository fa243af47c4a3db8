"""Which package a product passes its shipping test in: written rules over its real size and category.

The retailer's data holds no such tests, so these rules stand in for the laboratory. They see the printed package size,
which the models never do: a model has to infer size from who makes a thing, what it is and what it costs.
docs/demo-data.md explains every threshold; change both together.
"""

import re
import zlib
from dataclasses import dataclass
from functools import cache
from math import exp

LABELS = ("mailer", "bag", "box", "own_container")

GRAMS = {"OZ": 28.35, "Z": 28.35, "REC OZ": 28.35, "LB": 453.6, "GM": 1.0, "G": 1.0, "KG": 1000.0}
MILLILITRES = {
    "FL OZ": 29.57, "ML": 1.0, "L": 1000.0, "LTR": 1000.0, "PT": 473.2, "QT": 946.4, "GAL": 3785.0, "GA": 3785.0
}  # fmt: skip
PIECES = {
    "CT": 1, "PK": 1, "PC": 1, "KIT": 1, "STEM": 1, "ROLL": 1, "CUP": 1,
    "LOAD": 1, "LOADS": 1, "LD": 1, "LDS": 1, "DZ": 12, "SQ FT": 1,
}  # fmt: skip
UNIT = "|".join(sorted([*GRAMS, *MILLILITRES, *PIECES], key=len, reverse=True))
NUMBER = r"(?:\d+\s+\d+/\d+|\d+/\d+|\d*\.\d+|\d+)"
MEASURE = re.compile(rf"({NUMBER})\s*-?\s*({UNIT})\b(?!\.)")
MULTIPLE = re.compile(rf"\b(?<!\d )(\d+)\s*(?:PK|P|CT)?\s*[/-]\s*({NUMBER})\s*({UNIT})\b")
FRACTION = re.compile(r"(?:1\s*/\s*\d+|[357]\s*/\s*(?:4|8|16))\s*[A-Z]|\d\s*-\s*\d\s*[A-Z]")  # not 6/12 OZ: six of 12


def words_beginning(patterns: str) -> re.Pattern[str]:
    """Find words that begin so: `ALE` is in "BEERS/ALES" and not in "SALES"."""
    return re.compile(rf"\b(?:{patterns})")


# What a keyword in "department | category | type" says about the goods. The first match of each table counts.
GRAMS_PER_PIECE = (
    (r"LOAD|DETERGENT", 45.0), (r"EGG", 60.0), (r"DIAPER", 40.0), (r"TISSUE|TOWEL|NAPKIN|PAPER|WIPE", 6.0),
    (r"TEA |TEAS|VITAMIN|ANALGESIC|COLD AND FLU|ANTACID|FIRST AID", 1.5),
    (r"CANDLE|PLASTIC HOUSEWARES|COOKWARE", 250.0),
    (r"STATIONERY|SHAVING|HAIR CARE|MAKEUP|COSMETICS|ORAL", 25.0), (r"FLORAL|PLANT|STEM", 120.0), (r"PRODUCE", 150.0),
    (r"GARBAGE|TRSH|BAGS", 12.0), (r"GREETING|CARD", 20.0), (r"TOYS|PET CARE", 120.0),
)  # fmt: skip
GRAMS_PER_ML = (
    (r"BAG SNACKS|CHIPS|POPCORN|WAREHOUSE SNACKS|CHEESE PUFF", 0.09), (r"CEREAL|CRACKERS|COOKIES|CONES", 0.20),
    (r"DIAPER|TISSUE|TOWEL|NAPKIN|PAPER|FEMININE", 0.12), (r"BREAD|BUNS|ROLLS|CAKE|SWEET|PASTRY", 0.25),
    (r"FLORAL|PLANT|TOYS", 0.10),
    (r"HOUSEWARES|GADGETS|STATIONERY|SEASONAL|COOKWARE", 0.20), (r"SALAD MIX|LETTUCE", 0.12),
    (r"FRZN|FROZEN", 0.50), (r"PASTA|NOODLE|DINNER MXS|DRY MIX|COFFEE|TEA", 0.40),
)  # fmt: skip
LIQUID = words_beginning(
    r"SOFT DRINK|JUICE|JCE|MILK|WATER|WINE|BEER|ALE|LIQUOR|SPIRIT|ISOTONIC|SHAMPOO|CONDITIONER|LIQUID|LOTION|OIL|SYRUP"
    r"|SAUCE|DRSNG|DRESSING|SOUP|VINEGAR|BLEACH|CLEAN|DETERGENT|YOGURT|CREAM|DRINK|MOUTHWASH|RINSE|SALSA"
)
GLASS = words_beginning(
    r"WINE|LIQUOR|BEER|JELLY|JAM|PICKLE|OLIVE|BABY FOOD|PRESERVES|SALSA|PASTA SAUCE|CANDLE|VASE|BULB|PERFUME"
)
CRUSHABLE = words_beginning(
    r"EGG|CHIPS|BAG SNACKS|CRACKER|CONES|BREAD|BUNS|CAKE|PIE|BERRIES|BANANA|TOMATO|PEACH|FLORAL|PLANT|MUFFIN"
)
COLD = words_beginning(
    r"FRZN|FROZEN|ICE CREAM|REFRGRATD|REFRIGERATED|MILK|CHEESE|YOGURT|MEAT|LUNCHMEAT|HOT DOG|BACON|SAUSAGE|SEAFOOD|EGGS"
    r"|MARGARINE|SALAD|DAIRY|DELI|BUTTER"
)
SHELF_STABLE = words_beginning(
    r"SHELF STABLE|CANNED|CAN |PNT BTR|PEANUT|DRSNG|COOKIES|CRACKERS|DOG FOOD|CAT FOOD|CANDY|DRY"
)
STURDY = words_beginning(
    r"CAN CAR|CANNED|CAN |CANS|BTL|BOTTLE|JUG|BEER|LITTER|DETERGENT|BLEACH|DIAPER|DRESSING|COFFEE|OIL|WATER|SOFT DRINK"
    r"|JUICE|PAIL|CARTON|ISOTONIC|DOG FOOD|CLEAN|SHORTENING|VEGETABLES - SHELF|FRUIT - SHELF|SOUP"
    r"|TISSUE|TOWEL|FORMULA|PICKLE"
)


@dataclass(frozen=True)
class Size:
    """A printed size: total grams, millilitres, or pieces; two of the three are zero."""

    grams: float = 0.0
    millilitres: float = 0.0
    pieces: float = 0.0


@dataclass(frozen=True)
class Goods:
    """What a product's shelf says about how it travels."""

    liquid: bool
    glass: bool
    crushable: bool
    sturdy: bool  # its own packaging is a can, a bottle, a jug or a carton
    cold: bool  # chilled or frozen
    grams_per_ml: float
    grams_per_piece: float


@cache
def goods_of(department: str, category: str, product_type: str) -> Goods:
    """Read the goods off the names of their department, category and type."""
    words = f"{department} | {category} | {product_type} "
    liquid = bool(LIQUID.search(words))
    return Goods(
        liquid=liquid,
        glass=bool(GLASS.search(words)),
        crushable=bool(CRUSHABLE.search(words)),
        sturdy=bool(STURDY.search(words)),
        cold=bool(COLD.search(words)) and not SHELF_STABLE.search(words),
        grams_per_ml=1.0 if liquid else _first(GRAMS_PER_ML, words, 0.55),
        grams_per_piece=_first(GRAMS_PER_PIECE, words, 30.0),
    )


@cache
def parse_size(text: str | None) -> Size | None:
    """Read a printed package size, such as "14.5 OZ", "1/2 GAL", "12 PK/12 OZ", "8/6.75 OZ" or "300 CT(1)".

    Sizes without a number or in units of length ("LARGE", "CTN", "18 IN") say too little: None.
    """
    if not text:
        return None
    text = text.upper().replace("HALF GAL", "1/2 GAL").strip()
    if text in MILLILITRES or text in {"LB", "DZ"}:
        text = f"1 {text}"
    times = 1.0
    if (found := MULTIPLE.search(text)) and not FRACTION.match(text):
        times, amount, unit = float(found[1]), _number(found[2]), found[3]
    elif found := MEASURE.search(text):
        amount, unit = _number(found[1]), found[2]
    else:
        return None
    amount *= times
    if not 0 < amount < 100_000:
        return None
    if unit in GRAMS:
        return Size(grams=amount * GRAMS[unit])
    if unit in MILLILITRES:
        return Size(millilitres=amount * MILLILITRES[unit])
    return Size(pieces=amount * PIECES[unit])


def _number(text: str) -> float:
    whole, _, fraction = text.rpartition(" ")
    if "/" not in fraction:
        return float(fraction)
    above, below = fraction.split("/")
    return float(whole or 0) + float(above) / max(float(below), 1.0)


def _first(table: tuple[tuple[str, float], ...], words: str, otherwise: float) -> float:
    return next((value for pattern, value in table if words_beginning(pattern).search(words)), otherwise)


def _draw(product_id: int, what: str) -> float:
    """One fixed value of a product, as if drawn evenly from -1 to 1: the same on every machine and in every week."""
    return zlib.crc32(f"{what}:{product_id}".encode()) / 2**31 - 1


def package_tests(product_id: int, size: Size, goods: Goods) -> dict[str, int]:
    """The outcome of the four tests, 1 where the product arrives unharmed and the package is not wasteful.

    Two products of one size and type still differ: in how much air their packages hold (a factor of 0.55 to 1.8 on
    the volume) and in how well they were filled and sealed (0.6 to 1.65 on what they bear). The product id fixes both.
    """
    air, strength = exp(0.6 * _draw(product_id, "air")), exp(0.5 * _draw(product_id, "strength"))
    liquid, glass, crushable, cold = goods.liquid or size.millilitres > 0, goods.glass, goods.crushable, goods.cold
    grams = size.grams or size.millilitres or size.pieces * goods.grams_per_piece
    density = 1.0 if liquid else goods.grams_per_ml
    litres = (size.millilitres or grams / density) / 1000 * (1.0 + (air - 1.0) * (0.3 if liquid else 1.0))

    # An envelope bends: the flimsier or wetter the goods, the less of them it may hold.
    mailer_grams = 400 * (0.35 if glass else 0.5 if crushable else 0.6 if cold or liquid else 1.0) * strength
    mailer = grams <= mailer_grams and litres <= 0.9
    # A bag tears.
    bag_grams = 1500 * (0.35 if glass else 0.6 if liquid else 0.7 if cold else 1.0) * strength
    bag = grams <= bag_grams and litres <= (2.5 if crushable else 6.0)
    # A box must be filled, or what is in it rattles; a liner against warmth takes away half of it.
    box_grams = (2200 if liquid or cold else 4500) * strength
    box = 0.3 <= litres <= (3.5 if cold else 7.0) and 180 <= grams <= box_grams
    # What sits badly in a box may travel as it is; what boxes well needs a container that is itself a strong box.
    if box:
        own_container = goods.sturdy and not glass and grams * strength > 700
    else:
        own_container = grams * strength > (800 if goods.sturdy else 1800) and not (crushable and litres < 4)
    outcome = (mailer, bag, box, own_container)
    return {label: int(passed) for label, passed in zip(LABELS, outcome, strict=True)}
