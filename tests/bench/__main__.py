"""List the benches, or run one: python -m tests.bench [NAME].

A bench is a file beside this one with a docstring, whose first line is listed, and `main()`, which prints a table for
people and returns a dict of figures. The figures are printed as one line of JSON, the last line of the output.
"""

import ast
import importlib
import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent


def benches(folder: Path = FOLDER) -> dict[str, str]:
    """Return name → first line of its docstring for each bench, read without importing any."""
    found = {}
    for path in sorted(folder.glob("*.py")):
        tree = ast.parse(path.read_text())
        if (
            any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)
            and path.stem != "__main__"
        ):
            found[path.stem] = (ast.get_docstring(tree) or "").split("\n")[0]
    return found


def main(arguments: list[str]) -> int:
    """List or run; return the exit code."""
    known = benches()
    if not arguments:
        width = max(map(len, known), default=0)
        print("make bench NAME=…")
        for name, about in known.items():
            print(f"  {name:{width}}  {about}")
        return 0
    name = arguments[0]
    if name not in known:
        print(f"bench: there is no {name!r}; there are {', '.join(known) or 'none'}")
        return 2
    figures: dict[str, Any] | None = importlib.import_module(f"tests.bench.{name}").main()
    if figures is not None:  # a bench may print its own last line
        print(json.dumps(figures), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
