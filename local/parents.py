"""The processes that templates of functions are forked from: each has imported what many functions share, once."""

import threading
from collections.abc import Callable
from pathlib import Path

from local.processes import Base, Parent, ProcessEndedError, Root, Template

RUNTIMES_OWN = ("boto3", "botocore")
MOST_BASES = 4  # a changed layer makes another one; nobody asks for the old ones any more


class Parents:
    """A root with the runtime's packages, one without, and a base for each set of layers."""

    def __init__(self, interpreter: Callable[[], Path]) -> None:
        self._interpreter = interpreter
        self._lock = threading.Lock()
        self._turn = threading.Lock()  # one base at a time: its imports keep a processor busy
        self._roots: dict[bool, Root] = {}
        self._bases: dict[tuple[str, ...], Base] = {}  # by the folders of their layers, oldest first

    def warm(self) -> None:
        """Start the root that most functions need."""
        self._root(preload=True)

    def template(self, environment: dict[str, str], code: Path, layers: list[Path], handler: str) -> Template:
        """Import a handler.

        Args:
            environment: the function's.
            code: its folder, which comes first in its path.
            layers: folders of its layers that may hold packages, in the order of its path.
            handler: as Lambda's API has it.

        Raises:
            InitError: it cannot be imported.
            ProcessEndedError: what it is forked from ends again and again.
        """
        path = [str(folder) for folder in (code, *layers)]
        with self._lock:
            there: set[Parent] = {*self._roots.values(), *self._bases.values()}
        try:
            return self._parent(code, layers).template(environment, path, code, handler)
        except ProcessEndedError:  # one was killed: once more with new ones
            self._end(there)
            return self._parent(code, layers).template(environment, path, code, handler)

    def close(self) -> None:
        """End them all."""
        with self._lock:
            there: set[Parent] = {*self._roots.values(), *self._bases.values()}
        self._end(there)

    def _parent(self, code: Path, layers: list[Path]) -> Parent:
        """Nothing may be imported before the function's own path is searched that the function would find there."""
        packages = installed(layers)
        preload = not any((folder / name).is_dir() for folder in (code, *layers) for name in RUNTIMES_OWN)
        if not packages or any((code / name).is_dir() for name in (*packages, *RUNTIMES_OWN)):
            return self._root(preload)
        key = tuple(map(str, layers))
        with self._turn:
            if key not in self._bases:
                made = self._root(preload).base(list(key), packages)
                with self._lock:
                    old = list(self._bases.values())[: max(0, len(self._bases) + 1 - MOST_BASES)]
                    self._bases[key] = made
                self._end({*old})
            return self._bases[key]

    def _root(self, preload: bool) -> Root:
        interpreter = self._interpreter()
        with self._lock:
            if preload not in self._roots:
                self._roots[preload] = Root(interpreter, preload)
            return self._roots[preload]

    def _end(self, parents: set[Parent]) -> None:
        with self._lock:
            self._roots = {key: root for key, root in self._roots.items() if root not in parents}
            self._bases = {key: base for key, base in self._bases.items() if base not in parents}
        for parent in parents:
            parent.end()


def installed(folders: list[Path]) -> list[str]:
    """Packages that an installer has put into folders; code that lies there without metadata is not one."""
    found = []
    for folder in folders:
        for told in sorted(folder.glob("*.dist-info")):
            name = told.name.partition("-")[0].lower()
            if (folder / name / "__init__.py").is_file():
                found.append(name)
    return found
