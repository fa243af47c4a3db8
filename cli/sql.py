"""`boxcar sql`: ask the warehouse that the stack reads and writes."""

import click
from rich.table import Table

from cli import retailer
from cli.session import Session
from cli.terminal import terminal
from cli.warehouse import warehouse


@click.command()
@click.argument("query")
@click.pass_obj
def sql(session: Session, query: str) -> None:
    """Show the rows of a QUERY of the warehouse; 1,000 at most."""
    try:
        columns, rows = retailer.table(warehouse(session), query)
    except retailer.RetailerError as error:
        raise click.ClickException(str(error)) from None
    terminal().print(as_table(columns, rows))


def as_table(columns: list[str], rows: list[list[object]]) -> Table:
    """Rows for a terminal."""
    table = Table()
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(
            *("" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value) for value in row)
        )
    return table
