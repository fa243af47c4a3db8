"""A benchmark's report on a terminal."""

from collections.abc import Iterator
from typing import Any

from rich.table import Table
from rich.text import Text

from boxcar.reports.page import three_figures

_NUMBERS = ("batch", "cores", "a second", "P99 ms", "USD per million", "instances", "USD a year")


def tables(report: dict[str, Any]) -> Iterator[Table | Text]:
    """For each target the recommendation and a table; at last what was left out."""
    for target in report["targets"]:
        recommendation = target["recommendation"]
        yield Text(f"\n{target['name']}: {recommendation['sentence']}", style="bold")
        for caveat in recommendation["caveats"]:
            yield Text(f"  {caveat}", style="dim")
        yield _table(target)
    for one in report["pruned"]:
        yield Text(f"not measured: {one['why']} ({one['count']} combinations)", style="dim")
    if report["error"]:
        yield Text(f"{report['error']['error']}: {report['error']['cause']}", style="red")


def _table(target: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("instance", "backend", "figures", *_NUMBERS, ""):
        table.add_column(column, justify="right" if column in _NUMBERS else "left", overflow="fold")
    for row in target["rows"]:
        said = row["why"] if row["status"] != "ok" else ("" if row["meets"] else "misses the target")
        table.add_row(
            row["instance_type"],
            f"{row['backend']} {row['options']}".rstrip(),
            row["how"] or row["status"],
            str(row["batch_size"]),
            str(row["cores"]),
            three_figures(row["rate"] or row["throughput_avg"]),
            three_figures(row["latency_ms_p99"]),
            three_figures(row["cost_per_1m_inf"]),
            three_figures(row["instances"]),
            three_figures(row["usd_per_year"]),
            Text(said[:80]),
        )
    return table
