"""Which files of an architecture a script is made of, so that another script's change does not concern it."""

import ast
import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath

DESCRIPTION = "architecture.yaml"  # is in the plan, and read by no script
# Whoever names modules only while it runs may use any file.
_OPAQUE = {"importlib", "__import__", "runpy", "exec", "eval", "execfile"}


def script_digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """For each script, a digest of all that it may use: 16 hex digits.

    That is itself, every module of the folder that it imports, wherever in its code, or names as a file in a text, and
    what those import; and every file that is no Python. A script that cannot be read, or that imports by names made up
    while it runs, is left out: its digest is that of the folder.

    Args:
        files: contents by their path in the folder.
    """
    others = [name for name in files if not name.endswith(".py") and name != DESCRIPTION]
    uses = {name: _used(body, files) for name, body in files.items() if name.endswith(".py")}
    digests = {}
    for script in uses:
        reached, found = {script}, [script]
        while found:
            used = uses[found.pop()]
            if used is None:
                break
            new = used - reached
            reached |= new
            found += new
        else:
            digests[script] = digest_of({name: files[name] for name in [*others, *reached]})
    return digests


def digest_of(files: Mapping[str, bytes]) -> str:
    """16 hex digits that stand for names and contents."""
    content = hashlib.sha256()
    for name in sorted(files):
        content.update(f"{name}\0{len(files[name])}\0".encode() + files[name])
    return content.hexdigest()[:16]


def _used(body: bytes, files: Mapping[str, bytes]) -> set[str] | None:
    """Python files of the folder that one of them may use; None if that cannot be told."""
    try:
        tree = ast.parse(body)
    except (SyntaxError, ValueError):
        return None
    words: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                words |= {part for alias in node.names for part in _packages(alias.name)}
            case ast.ImportFrom():
                module = node.module or ""
                words |= {part for alias in node.names for part in _packages(f"{module}.{alias.name}".strip("."))}
            case ast.Name():
                words |= {node.id} & _OPAQUE
            case ast.Constant(value=str(text)) if text.endswith(".py"):
                words.add(text)
    if words & _OPAQUE:
        return None
    return {name for name in files if name.endswith(".py") and not words.isdisjoint(_names(name))}


def _packages(module: str) -> list[str]:
    """A module and the packages around it, whose code runs too: `a.b` is a, and a.b."""
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]


def _names(path: str) -> set[str]:
    """What a Python file can be called by: its path, its name, its module, and the packages that it belongs to."""
    parts = PurePosixPath(path.removesuffix(".py")).parts
    return {path, PurePosixPath(path).name, parts[-1], *_packages(".".join(parts))}
