"""Reading Retry and Catch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.stepfunctions import definition as asl

if TYPE_CHECKING:
    from local.stepfunctions.parse import Reader

RETRIER = {
    "ErrorEquals",
    "IntervalSeconds",
    "MaxAttempts",
    "BackoffRate",
    "MaxDelaySeconds",
    "JitterStrategy",
    "Comment",
}
CATCHER = {"ErrorEquals", "Next", "Output", "Assign", "Comment"}


def retriers(reader: Reader, state: dict[str, Any], where: str) -> tuple[asl.Retrier, ...]:
    """The rules of Retry."""
    return tuple(
        _retrier(reader, rule, f"{where}/Retry[{i}]") for i, rule in enumerate(reader.rules(state, "Retry", where))
    )


def catchers(reader: Reader, state: dict[str, Any], where: str) -> tuple[asl.Catcher, ...]:
    """The rules of Catch."""
    return tuple(_catcher(reader, rule, i, where) for i, rule in enumerate(reader.rules(state, "Catch", where)))


def _retrier(reader: Reader, raw: dict[str, Any], where: str) -> asl.Retrier:
    reader.only(raw, RETRIER, where)
    for name, low in {"IntervalSeconds": 1, "MaxAttempts": 0, "MaxDelaySeconds": 1}.items():
        if name in raw and not whole(raw[name], low):
            reader.wrong(f"The field '{name}' must be an integer of at least {low}", f"{where}/{name}")
    rate = raw.get("BackoffRate", 2.0)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or rate < 1:
        reader.wrong("The field 'BackoffRate' must be a number of at least 1.0", f"{where}/BackoffRate")
        rate = 2.0
    if raw.get("JitterStrategy", "NONE") not in ("NONE", "FULL"):
        reader.wrong("The field 'JitterStrategy' must be 'NONE' or 'FULL'", f"{where}/JitterStrategy")
    return asl.Retrier(
        _names(reader, raw, where), raw.get("IntervalSeconds", 1), raw.get("MaxAttempts", 3), float(rate),
        raw.get("MaxDelaySeconds"), raw.get("JitterStrategy") == "FULL",
    )  # fmt: skip


def _catcher(reader: Reader, raw: dict[str, Any], index: int, state: str) -> asl.Catcher:
    where = f"{state}/Catch[{index}]"
    reader.only(raw, CATCHER, where)
    return asl.Catcher(
        _names(reader, raw, where), reader.target(raw, "Next", where),
        reader.assign(raw, where, f"Catch[{index}]/Assign"),
        reader.template(raw, "Output", where, f"Catch[{index}]/Output"),
    )  # fmt: skip


def _names(reader: Reader, raw: dict[str, Any], where: str) -> tuple[str, ...]:
    """ErrorEquals: at least one name, States.ALL alone."""
    value = raw.get("ErrorEquals")
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        reader.wrong("The field 'ErrorEquals' must be an array of at least one string", f"{where}/ErrorEquals")
        return ()
    if "States.ALL" in value and len(value) > 1:
        reader.wrong("'States.ALL' must stand alone in 'ErrorEquals'", f"{where}/ErrorEquals")
    return tuple(value)


def whole(value: Any, low: int) -> bool:
    """Whether a JSON value is a whole number of at least `low`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= low
