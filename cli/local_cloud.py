"""`boxcar local`: the embedded cloud's process. `boxcar mails`: what it would have mailed."""

from itertools import groupby
from pathlib import Path

import click
from rich.console import Console

from cli.session import Session
from local import server
from local.mailbox import Mailbox


@click.group("local")
def local_cloud() -> None:
    """The embedded cloud: up, down, reset, status."""


@local_cloud.command()
@click.option("--port", default=server.PORT, show_default=True)
@click.option("--foreground", is_flag=True, help="Stay in this terminal; Ctrl-C stops it.")
@click.pass_obj
def up(session: Session, port: int, foreground: bool) -> None:
    """Start the embedded cloud. What it held when it was stopped is there again."""
    running = server.up(port, session.state, detach=not foreground)
    click.echo(f"the embedded cloud answers at {running.endpoint} (pid {running.pid}); its state is in {session.state}")
    click.echo("speak to it with `boxcar --local …`, or with any AWS tool and AWS_ENDPOINT_URL")


@local_cloud.command()
@click.pass_obj
def down(session: Session) -> None:
    """Stop the embedded cloud; its state stays."""
    click.echo("stopped" if server.down(session.state) else "it does not run")


@local_cloud.command()
@click.pass_obj
def reset(session: Session) -> None:
    """Stop the embedded cloud and empty it."""
    server.reset(session.state)
    click.echo(f"{session.state} is empty")


@local_cloud.command()
@click.pass_obj
def status(session: Session) -> None:
    """Say whether the embedded cloud runs, and where."""
    running = server.status(session.state)
    if running is None:
        click.echo("it does not run; start it with `boxcar local up`")
        raise SystemExit(1)
    click.echo(f"it answers at {running.endpoint} (pid {running.pid})")


@click.command()
@click.option("--to", "address", help="Only mails to this address.")
@click.option("--full", is_flag=True, help="Show the text too.")
@click.pass_obj
def mails(session: Session, address: str | None, full: bool) -> None:
    """Show the mails that the embedded cloud caught, by audience."""
    print_mails(session.state, address, full)


def restart(state: Path, port: int) -> None:
    """Stop whatever runs there, empty it, and start it again."""
    server.reset(state)
    server.up(port, state, detach=True)


def print_mails(state: Path, address: str | None = None, full: bool = False) -> int:
    """Print the mails by address, oldest first, and return how many there are."""
    console = Console(highlight=False)
    found = sorted(Mailbox(state / "mailbox").read(address), key=lambda mail: (mail.to, mail.path.name))
    for to, group in groupby(found, key=lambda mail: mail.to):
        console.print(f"\n[bold]Mails to {to}[/bold]")
        for mail in group:
            console.print(f"  {mail.subject}", markup=False, soft_wrap=True)
            console.print(f"    {mail.path}", markup=False, soft_wrap=True)
            if full:
                console.print("\n".join(f"    {line}" for line in mail.text.splitlines()), markup=False, soft_wrap=True)
    return len(found)
