"""Pages that need nothing but themselves: no scripts, no fonts, no requests, one look."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

FOLDER = Path(__file__).parent / "page"  # the look of all pages, and the templates of reports


def standalone(
    folder: Path,
    template: str,
    filters: Mapping[str, Callable[..., Any]],
    functions: Mapping[str, Callable[..., Any]] | None = None,
    sheet: str = "",
    **data: Any,
) -> str:
    """Fill a template. Everything that was data is escaped; a name that is not there is an error.

    Args:
        folder: of the template, and of those that it includes.
        template: its name there.
        filters: what the template calls behind a bar.
        functions: what it calls by name.
        sheet: a style sheet of the folder, behind the one of all pages.
        data: what the template shows; `style` is given.
    """
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    environment.globals |= functions or {}
    sheets = [FOLDER / "style.css", *([folder / sheet] if sheet else [])]
    style = Markup("".join(path.read_text(encoding="utf-8") for path in sheets))  # noqa: S704 - our own files
    return environment.get_template(template).render(style=style, **data)
