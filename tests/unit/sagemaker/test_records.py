"""Records of a batch transform, and places for jobs."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.sagemaker.capacity import Slots
from local.sagemaker.containers import rewrite
from local.sagemaker.records import Format, RecordError, batches, parse_filter, select, split
from local.service import ApiError

ROW = ["k", "1", "2", "3"]


@pytest.mark.parametrize(
    ("path", "value", "chosen"),
    [
        ("$", ROW, ROW),
        ("$[1:]", ROW, ["1", "2", "3"]),
        ("$[:-1]", ROW, ["k", "1", "2"]),
        ("$[0]", ROW, "k"),
        ("$[0,-1]", ROW, ["k", "3"]),
        ("$[-2:]", ROW, ["2", "3"]),
        ("$.a.b", {"a": {"b": 7}}, 7),
        ("$['a','c']", {"a": 1, "b": 2, "c": 3}, {"a": 1, "c": 3}),
        ("$.rows[1].x", {"rows": [{"x": 1}, {"x": 2}]}, 2),
    ],
)
def test_filters(path, value, chosen):
    assert select(value, parse_filter("InputFilter", path)) == chosen


@pytest.mark.parametrize("path", ["a", "$..a", "$[*]", "$[?(@.x)]", "$[1:2:3]", "$.", ""])
def test_other_jsonpath_is_refused(path):
    with pytest.raises(ApiError, match="InputFilter"):
        parse_filter("InputFilter", path)


def test_a_filter_that_does_not_fit():
    with pytest.raises(RecordError, match="does not fit"):
        select(["a"], parse_filter("InputFilter", "$[3]"))


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=40), st.integers(20, 60), st.booleans())
def test_batches_keep_every_record_in_order_and_within_the_limit(records, limit, single):
    made = list(batches(records, single, limit))
    assert [record for batch in made for record in batch] == records
    assert all(len(b"\n".join(batch)) <= limit for batch in made)
    assert not single or all(len(batch) == 1 for batch in made)


@given(
    st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\n\0"), min_size=1), min_size=1)
)
def test_csv_survives_reading_and_writing(row):
    form = Format("text/csv")
    assert form.read(form.write(row)) == row


def test_lines_without_content_are_no_records():
    assert split(b"a\n\nb\r\n", "Line") == [b"a", b"b"]
    assert split(b"a\nb", "None") == [b"a\nb"]


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("/opt/ml", "/r/opt/ml"),
        ("/opt/ml/model", "/r/opt/ml/model"),
        ("--out=/opt/ml/model", "--out=/r/opt/ml/model"),
        ('{"a": "/opt/ml/x"}', '{"a": "/r/opt/ml/x"}'),
        ("/opt/mlx", "/opt/mlx"),
        ("/var/opt/ml/x", "/var/opt/ml/x"),
        ("s3://b/opt/ml/x", "s3://b/opt/ml/x"),
    ],
)
def test_paths_of_the_container_become_the_jobs_own(tmp_path, text, becomes):
    assert rewrite(text, tmp_path) == becomes.replace("/r/", f"{tmp_path}/")


def test_places_are_given_in_the_order_of_asking():
    slots = Slots(1)
    order, threads = [], []
    with slots.place(lambda: False):
        for number in range(5):
            waiting = len(slots._queue)

            def enter(number=number):
                with slots.place(lambda: False):
                    order.append(number)

            threads.append(threading.Thread(target=enter))
            threads[-1].start()
            while len(slots._queue) == waiting:
                pass
    for thread in threads:
        thread.join(10)
    assert order == [0, 1, 2, 3, 4]


def test_who_gives_up_takes_no_place():
    slots, gave_up = Slots(1), threading.Event()
    held = []
    with slots.place(lambda: False):

        def wait():
            with slots.place(gave_up.is_set) as place:
                held.append(place.held)

        thread = threading.Thread(target=wait)
        thread.start()
        gave_up.set()
        slots.wake()
        thread.join(10)
        assert held == [False]
    with slots.place(lambda: False) as place:
        assert place.held
