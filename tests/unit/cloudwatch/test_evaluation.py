"""States of alarms, held against the tables of "Configuring how CloudWatch alarms treat missing data"."""

import pytest

from local.cloudwatch.evaluation import ALARM, INSUFFICIENT, KEEP, OK, Rule, evaluate

TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")

# data points oldest first as the guide draws them (X breaches, 0 does not, - is missing), how many must be filled, and
# the state by how missing data is treated, in the order of TREATMENTS
THREE_OF_THREE = [
    ("0 - X - X", 0, (OK, OK, OK, OK)),
    ("0 - - - -", 2, (OK, OK, OK, OK)),
    ("- - - - -", 3, (INSUFFICIENT, KEEP, ALARM, OK)),
    ("0 X X - X", 0, (ALARM, ALARM, ALARM, ALARM)),
    ("- - X - -", 2, (ALARM, KEEP, ALARM, OK)),
    # from the tables of earlier editions of the guide
    ("- - - - X", 2, (INSUFFICIENT, KEEP, ALARM, OK)),
    ("X - - - -", 2, (ALARM, KEEP, ALARM, OK)),
    # "Avoiding premature transitions to alarm state": not at once ALARM, and not when the next point does not breach
    ("- - - X -", 2, (INSUFFICIENT, KEEP, ALARM, OK)),
    ("- - - X 0", 1, (OK, OK, OK, OK)),
    ("- - X - 0", 1, (OK, OK, OK, OK)),
]
TWO_OF_THREE = [
    ("0 - X - X", 0, (ALARM, ALARM, ALARM, ALARM)),
    ("0 0 X 0 X", 0, (ALARM, ALARM, ALARM, ALARM)),
    ("0 - X - -", 1, (OK, OK, ALARM, OK)),
    ("- - - - 0", 2, (OK, OK, ALARM, OK)),
    ("- - - X -", 2, (ALARM, KEEP, ALARM, OK)),
    ("- - - - X", 2, (INSUFFICIENT, KEEP, ALARM, OK)),
]
CASES = [
    pytest.param(to_alarm, row[0], row[1], treatment, state, id=f"{to_alarm}of3 {row[0]} {treatment}")
    for to_alarm, table in ((3, THREE_OF_THREE), (2, TWO_OF_THREE))
    for row in table
    for treatment, state in zip(TREATMENTS, row[2], strict=True)
]


def points(drawn: str) -> list[float | None]:
    """Most recent first."""
    return [{"X": 9.0, "0": 0.0, "-": None}[each] for each in reversed(drawn.split())]


@pytest.mark.parametrize(("to_alarm", "drawn", "filled", "missing", "state"), CASES)
def test_the_guides_tables(to_alarm: int, drawn: str, filled: int, missing: str, state: str) -> None:
    rule = Rule(3, to_alarm, "GreaterThanThreshold", 5.0, missing)
    assert rule.points == 5  # "the evaluation range is 5"
    outcome = evaluate(points(drawn), rule)
    assert (outcome.state, outcome.filled) == (state, filled)


@pytest.mark.parametrize(
    ("operator", "breaching"),
    [
        ("GreaterThanOrEqualToThreshold", {5.0, 6.0}),
        ("GreaterThanThreshold", {6.0}),
        ("LessThanThreshold", {4.0}),
        ("LessThanOrEqualToThreshold", {4.0, 5.0}),
    ],
)
def test_operators_at_the_threshold(operator: str, breaching: set[float]) -> None:
    rule = Rule(1, 1, operator, 5.0)
    assert {value for value in (4.0, 5.0, 6.0) if evaluate([value], rule).state == ALARM} == breaching


def test_older_points_count_only_for_missing_ones() -> None:
    rule = Rule(1, 1, "GreaterThanThreshold", 5.0, "notBreaching")
    assert evaluate([0.0, 9.0, 9.0], rule).state == OK
    assert evaluate([None, 9.0, 0.0], rule).state == ALARM  # "repeatedly re-evaluate the last set of data points"
    assert evaluate([None, None, None], rule).state == OK
