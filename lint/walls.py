"""The walls of the house: who may import whom, nothing at import, no branch for a laptop in what runs on AWS."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from lint.findings import Finding

OURS = {"boxcar", "local", "cli", "functions", "models", "neuron", "layers", "lint", "tests"}
# Which of our own packages the code in a folder may import. The longest folder that fits counts.
MAY_IMPORT = {
    "functions": {"boxcar"},
    "layers/shared/python/boxcar": {"boxcar"},
    "local": {"local"},
    "models": set(),
    "neuron": {"neuron"},
    "cli": {"cli", "boxcar", "local"},
    "lint": {"lint"},
}
WHY = {
    "functions": "handlers import only boxcar",
    "layers/shared/python/boxcar": "the domain imports nothing but itself",
    "local": "the embedded cloud runs functions as Lambda would and knows nothing of Boxcar",
    "models": "this runs inside a container where Boxcar is not installed",
    "neuron": "this runs inside containers that hold neuron alone of ours",
    "cli": "the command imports boxcar and local",
    "lint": "the checks look at the code and do not run it",
}
ON_AWS = ("functions", "layers/shared", "models", "neuron")
CLIENTS = "layers/shared/python/boxcar/aws.py"
SDK = {"boto3", "botocore.session"}
# Calls that touch the world. At the top level of a module they would run at import.
TOUCHES = {"open", "client", "settings", "resource", "connect", "urlopen", "Popen", "check_output", "check_call"}
TOUCHES |= {"read_text", "read_bytes", "write_text", "write_bytes", "mkdir", "iterdir", "glob", "rglob", "exists"}
LAPTOP = re.compile(
    r"(^|_)(local|localstack|ministack|emulator|emulated|offline|laptop)(_|$)|localhost|127\.0\.0\.1|AWS_ENDPOINT_URL",
    re.IGNORECASE,
)


def check(root: Path) -> list[Finding]:
    """Check every Python file that has walls around it."""
    found = []
    for folder in MAY_IMPORT:
        for path in sorted((root / folder).rglob("*.py")):
            if "__pycache__" in path.parts:
                continue
            file = str(path.relative_to(root))
            try:
                tree = ast.parse(path.read_text(), filename=file)
            except SyntaxError as error:
                found.append(Finding(file, str(error.lineno), f"is not Python: {error.msg}"))
                continue
            found += [Finding(file, str(line), message) for line, message in faults(file, tree)]
    return found


def faults(file: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, what is wrong) for one file, given by its path from the root of the checkout."""
    yield from _imports(file, tree)
    if not file.startswith("lint"):
        yield from _at_import(tree)
    if file.startswith(ON_AWS):
        yield from _laptop_branches(tree)


def _imports(file: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    folder = max((name for name in MAY_IMPORT if file.startswith(f"{name}/")), key=len)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
        else:
            continue
        for name in names:
            top = name.split(".")[0]
            # A file beside this one may have the name of one of our packages; in a container only that one exists.
            if top in OURS - MAY_IMPORT[folder]:
                yield node.lineno, f"imports {name}: {WHY[folder]}"
            if file.startswith(("functions/", "layers/shared/")) and file != CLIENTS and name in SDK:
                yield node.lineno, f"imports {name}: clients are made in {CLIENTS} and passed in as arguments"


def _at_import(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield what the top level of a module, or of a class in it, does to the world."""
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            todo += [*getattr(node, "decorator_list", []), *node.args.defaults]
            continue
        if isinstance(node, ast.If) and _names_main(node.test):
            continue
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in TOUCHES:
                yield node.lineno, f"{name}() runs at import; call it in the function that needs it"
        todo += list(ast.iter_child_nodes(node))


def _names_main(test: ast.expr) -> bool:
    return "__main__" in ast.dump(test)


def _laptop_branches(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.If, ast.IfExp, ast.While)):
            words = _words(node.test)
        elif isinstance(node, ast.Match):
            words = _words(node.subject)
        else:
            continue
        for word in words:
            if LAPTOP.search(word):
                yield (
                    node.lineno,
                    f"branches on {word!r}: what runs on AWS knows of no other place; use an endpoint setting",
                )


def _words(node: ast.expr) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Attribute):
            yield part.attr
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value
