"""Where commands print: a person's terminal, or a file in which somebody may search."""

from rich.console import Console

UNCUT = 500  # columns where there is no terminal: nothing is folded or cut that somebody may search for


def terminal() -> Console:
    """On a terminal as wide as that is; else wide enough that no line is folded or cut."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=UNCUT, soft_wrap=True)
