"""`boxcar sql` where there is no terminal: what somebody may search for is whole."""

from types import SimpleNamespace

import pytest
from click.testing import CliRunner

import cli.sql
from cli import retailer


def test_a_long_value_is_not_cut_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "SANDWICH ROLLS AND BUNS " * 8
    monkeypatch.setattr(cli.sql, "warehouse", lambda session: None)
    monkeypatch.setattr(retailer, "table", lambda warehouse, query: (["product_type", "price"], [[long.strip(), 0.22]]))
    done = CliRunner().invoke(cli.sql.sql, ["SELECT 1"], obj=SimpleNamespace())
    assert done.exit_code == 0 and long.strip() in done.output
