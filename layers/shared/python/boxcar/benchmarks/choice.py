"""Which instance to buy: the cheapest that meets the target, its runner-up, and who is on the Pareto front."""

from typing import Any

from boxcar.benchmarks.requests import Target
from boxcar.benchmarks.rows import Row

WORST = ("simulated", "published", "measured")  # of two rows of one price, the later is trusted more


def choose(rows: list[Row], target: Target, words: str) -> dict[str, Any]:
    """The recommendation for one target, which is told by `words`.

    A simulated device is nothing that can be bought, so it is recommended only where nothing else was measured.

    Returns:
        `{"sentence", "best", "runner_up", "saving", "caveats"}`: names of cells, and the saving as a share of the
        runner-up's yearly cost; None where there is none.
    """
    real = [row for row in rows if row["how"] not in (None, "simulated")] or rows
    priced = [row for row in real if row["meets"] and row["usd_per_year"] is not None]
    ranked = sorted(priced, key=lambda row: (row["usd_per_year"], -WORST.index(row["how"]), row["cell"]))
    if not ranked:
        return {
            "sentence": _nobody(real, target, words),
            "best": None,
            "runner_up": None,
            "saving": None,
            "caveats": [],
        }
    best = ranked[0]
    others = [row for row in ranked if row["instance_type"] != best["instance_type"]]
    runner_up = others[0] if others else (ranked[1] if len(ranked) > 1 else None)
    saving = 1 - best["usd_per_year"] / runner_up["usd_per_year"] if runner_up else None
    return {
        "sentence": _sentence(best, runner_up, saving, words),
        "best": best["cell"],
        "runner_up": runner_up["cell"] if runner_up else None,
        "saving": saving,
        "caveats": _caveats([best, *([runner_up] if runner_up else [])], target),
    }


def pareto(rows: list[Row], target: Target) -> list[str]:
    """Cells that meet the target and that no other beats in both cost per million and P99.

    Where the target asks for no latency, that is the cheapest alone.
    """
    known = {
        row["cell"]: (row["cost_per_1m_inf"], row["latency_ms_p99"] if target.p99_ms is not None else 0.0)
        for row in rows
        if row["meets"] and row["cost_per_1m_inf"] is not None
    }
    return [cell for cell, figures in known.items() if not any(_beats(other, figures) for other in known.values())]


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and all(mine <= theirs for mine, theirs in zip(one, other, strict=True))


def words_of(target: Target) -> str:
    """`16,000 queries/s within 10 ms at P99`."""
    rate = f"{target.rate:,.0f} {target.unit}/s"
    return rate if target.p99_ms is None else f"{rate} within {target.p99_ms:g} ms at P99"


def named(row: Row) -> str:
    """`c7i.xlarge with torch precision=bf16`."""
    return f"{row['instance_type']} with {row['backend']} {row['options']}".rstrip()


def _sentence(best: Row, runner_up: Row | None, saving: float | None, asked: str) -> str:
    count = best["instances"]
    what = f"{count} × {named(best)}, batch {best['batch_size']} ({best['how']})"
    words = f"For {asked}, buy {what}: ${best['usd_per_year']:,.0f} a year"
    if runner_up is None or saving is None:
        return f"{words}; nothing else meets the target."
    other = f"{runner_up['instances']} × {named(runner_up)}, batch {runner_up['batch_size']} ({runner_up['how']})"
    return f"{words}, {saving:.0%} cheaper than {other}."


def _caveats(rows: list[Row], target: Target) -> list[str]:
    found = []
    for row in rows:
        name = named(row)
        if row["measured_on"] and row["how"] == "measured":
            found.append(f"{name} was measured on {row['measured_on']}: repeat it on {row['instance_type']} first.")
        if row["indicative"] and target.p99_ms is not None:
            found.append(f"{name} has too few queries for its P99 to be certain: its figures are indicative.")
        if row["how"] == "simulated":
            found.append(f"{name} is a simulated device: its figures are what its options say.")
        if row["how"] == "published":
            found.append(f"{name} is as published, with the publisher's driver and load: measure it yourself first.")
    return list(dict.fromkeys(found))


def _nobody(rows: list[Row], target: Target, asked: str) -> str:
    """That nobody meets the target, and by how much the best misses it; or that who meets it has no price."""
    if free := [row for row in rows if row["meets"]]:
        best = min(free, key=lambda row: row["instances"])
        words = f"{best['instances']} × {named(best)}, batch {best['batch_size']} ({best['how']}), meet the target"
        return (
            f"For {asked}, {words} {target.name}, but nothing that meets it has a price: `boxcar prices refresh`, and "
            "run the benchmark again."
        )
    missed = [row for row in rows if row["status"] == "ok" and row["latency_ms_p99"] is not None]
    words = f"Nothing meets the target {target.name}, {asked}"
    if target.p99_ms is None or not missed:
        failed = sum(row["status"] != "ok" for row in rows)
        return f"{words}: {failed} of {len(rows)} cells have no figures." if rows else f"{words}: nothing was measured."
    best = min(missed, key=lambda row: row["latency_ms_p99"])
    over = best["latency_ms_p99"] - target.p99_ms
    return (
        f"{words}: the best, {named(best)}, batch {best['batch_size']}, has a P99 of "
        f"{best['latency_ms_p99']:.3g} ms and misses it by {over:.3g} ms ({over / target.p99_ms:.0%})."
    )
