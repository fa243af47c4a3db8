"""What a check says."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Finding:
    """One thing to mend: where it is, and what to write instead."""

    file: str  # relative to the root of the checkout
    place: str  # a line number, a resource, a path of states
    message: str
    warning: bool = False  # shown, but `make lint` still passes

    def __str__(self) -> str:
        """Return the line that people see."""
        return f"{self.file}:{self.place}: {'warning: ' if self.warning else ''}{self.message}"
