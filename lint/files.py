"""What every tracked file keeps to: names that say something, no package registry's address, a length one can read."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lint.findings import Finding

EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
LONG = 300  # lines; a longer file is usually two
# Which registry serves a package is a matter of the machine that installs it: an address that is written down breaks
# behind a mirror. The parts are joined here, so that this file does not hold what it looks for.
REGISTRIES = re.compile(
    "|".join(
        re.escape(".".join(parts))
        for parts in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("npmjs", "org"),
            ("npmjs", "com"),
            ("yarnpkg", "com"),
            ("deb", "debian", "org"),
            ("crates", "io"),
            ("anaconda", "org"),
            ("pytorch", "org/whl"),
        )
    )
    + r"|^\s*--(?:extra-)?index-url|^\s*--find-links|\"resolved\":",
    re.MULTILINE,
)


def check(root: Path) -> list[Finding]:
    """Check every file that git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
    found = []
    for file in sorted(filter(None, listed)):
        path = root / file
        found += [Finding(file, "name", message) for message in name_faults(file)]
        if path.is_file():
            try:
                text = path.read_text()
            except UnicodeDecodeError:
                continue  # a picture or data
            found += list(text_faults(file, text))
    return found


def name_faults(file: str) -> Iterator[str]:
    """Yield what is wrong with the name of a file or of a folder that it is in."""
    for part in Path(file).parts:
        for word in re.split(r"[_.\-]", part.lower()):
            if word in EMPTY_NAMES:
                yield f"{part!r} says nothing; name it after what it does"


def text_faults(file: str, text: str) -> Iterator[Finding]:
    """Yield what is wrong with the text of a file."""
    for match in REGISTRIES.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield Finding(
            file, str(line), f"names a package registry ({match[0].strip()}); leave the address to the machine"
        )
    lines = text.count("\n")
    if file.endswith(".py") and lines > LONG:
        yield Finding(file, str(LONG), f"{lines} lines: a file of more than {LONG} is usually two", warning=True)
