"""Capacity units against cases worked out by hand from the DynamoDB Developer Guide."""

import pytest

from tests.bench.simulation.capacity import Index, Sized, indexes, read, size, targets, value_size, write

KB = 1024


def item(size_bytes, **more):
    """An item of so many bytes: `pk` and `pad` are 2 and 3 of them, `x` the key."""
    own = {"pk": {"S": "x"}, **{name: {"S": value} for name, value in more.items()}}
    return {**own, "pad": {"S": "." * (size_bytes - size(own) - 3)}}


def units(index, before, after):
    """What a write costs one index."""
    return index.units(Sized(before), Sized(after), before == after)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"S": "ünï"}, 5),  # UTF-8
        ({"N": "27"}, 2),  # one for two digits, and one
        ({"N": "-1767225600.25"}, 8),
        ({"N": "100"}, 2),  # zeros at the ends do not count
        ({"BOOL": True}, 1),
        ({"L": [{"S": "ab"}, {"S": "c"}]}, 3 + 2 + 3),  # 3, and 1 an element
        ({"M": {"key": {"S": "ab"}}}, 3 + 1 + 5),
        ({"SS": ["ab", "cde"]}, 5),
    ],
)
def test_size_of_a_value(value, expected):
    assert value_size(value) == expected


def test_an_items_names_count():
    assert size(item(500)) == 500


@pytest.mark.parametrize(
    ("size_bytes", "consistent", "units"),
    [(100, True, 1), (4 * KB, True, 1), (4 * KB + 1, True, 2), (4 * KB + 1, False, 1), (100, False, 0.5)],
)
def test_one_item_is_read(size_bytes, consistent, units):
    assert read("GetItem", {"ConsistentRead": consistent}, {"Item": item(size_bytes)}, []) == units


def test_a_query_adds_up_before_it_rounds():
    # 10 items of 1 KB are 10 KB: three times 4 KB, half a unit each
    assert read("Query", {}, {}, [item(KB)] * 10) == 1.5
    assert read("Query", {}, {}, []) == 0.5


def test_reading_nothing_costs_one_unit():
    assert read("GetItem", {"ConsistentRead": True}, {}, []) == 1


def test_the_larger_of_before_and_after_is_written():
    assert write(item(3 * KB), item(500), []) == 3
    assert write(None, item(KB + 1), []) == 2


def test_a_transaction_costs_twice_and_its_indexes_once():
    index = Index("by_day", ("day",), None)
    before, after = item(1500, day="1"), item(1500, day="1", status="ok")
    assert write(before, after, [index], transaction=True) == 2 * 2 + 2


def test_an_index_whose_keys_change_is_written_twice():
    index = Index("by_queue", ("queue", "due"), None)
    assert units(index, item(500, queue="New", due="1"), item(500, queue="New", due="2")) == 2
    assert units(index, item(500, queue="New", due="1"), item(500)) == 1  # taken out
    assert units(index, item(500), item(600)) == 0  # never in it


def test_an_index_that_holds_little_is_written_when_that_changes():
    index = Index("by_day", ("day",), frozenset({"pk", "day", "status"}))
    same = item(5 * KB, day="1", status="New", reason="a")
    assert units(index, same, item(5 * KB, day="1", status="New", reason="b")) == 0
    assert units(index, same, item(5 * KB, day="1", status="Launched")) == 1


def test_indexes_of_a_table_as_described():
    keys = [{"AttributeName": "day", "KeyType": "HASH"}]
    some = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["status"]}
    table = {"GlobalSecondaryIndexes": [{"IndexName": "by_day", "KeySchema": keys, "Projection": some}]}
    assert indexes(table) == [Index("by_day", ("day",), frozenset({"pk", "day", "status"}))]


def test_what_a_write_is_about():
    key = {"pk": {"S": "lease"}}
    parts = [{"Put": {"Item": item(100)}}, {"Update": {"Key": key}}]
    assert targets("TransactWriteItems", {"TransactItems": parts}) == [item(100), key]
    assert targets("Query", {}) == []
