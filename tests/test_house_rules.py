"""The rules that keep the code small and its data flowing one way, read off the syntax trees."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("protocol", "engines", "accounts", "stream", "batch", "server")

# Who may import whom (docs/architecture.md); every package may import itself.
ALLOWED = {
    "protocol": set(),
    "engines": {"protocol"},
    "accounts": {"protocol"},
    "stream": {"protocol", "engines", "accounts"},
    "batch": {"protocol", "engines", "accounts"},
    "server": {"protocol", "engines", "accounts", "stream", "batch"},
}
# The only third-party library the pure package may use.
PURE = {"pydantic"}
MAX_MODULE_LINES = 400
MAX_DIALECT_LINES = 260  # what somebody who adds a dialect has to read of another
MAX_FUNCTION_LINES = 60
MAX_PUBLIC_METHODS = 12
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}

MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
DIALECTS = [path for path in MODULES if "dialects" in path.parts]
Functions = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


def place(path: Path) -> str:
    return str(path.relative_to(ROOT))


def lines(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n")


def none(found: Iterator[str]) -> None:
    """A rule is one test over all modules, and names every place that breaks it."""
    places = list(found)
    assert not places, "\n".join(places)


def test_there_are_modules_to_look_at() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} == set(PACKAGES)
    assert DIALECTS


def test_imports_point_downwards() -> None:
    none(
        f"{place(path)} imports {name}"
        for path in MODULES
        for package in [path.relative_to(ROOT).parts[0]]
        for name in imported(tree(path))
        for top in [name.split(".")[0]]
        if top in ("tests", "loadtest") or (top in PACKAGES and top != package and top not in ALLOWED[package])
    )


def test_protocol_needs_the_standard_library_and_pydantic_only() -> None:
    free = {"protocol"} | sys.stdlib_module_names | PURE
    none(
        f"{place(path)} imports {name}"
        for path in MODULES
        if place(path).startswith("protocol/")
        for name in imported(tree(path))
        if name.split(".")[0] not in free
    )


def test_a_dialect_knows_no_other_dialect() -> None:
    none(
        f"{place(path)} imports {name}"
        for path in DIALECTS
        for own in [".".join(("protocol.dialects", path.relative_to(ROOT / "protocol" / "dialects").parts[0]))]
        for name in imported(tree(path))
        if name.startswith("protocol.dialects.") and not name.startswith(f"{own}.")
    )


def test_a_dialect_is_thin() -> None:
    none(f"{place(path)} has {n} lines" for path in DIALECTS for n in [lines(path)] if n > MAX_DIALECT_LINES)


def oversized(path: Path) -> Iterator[str]:
    if lines(path) > MAX_MODULE_LINES:
        yield f"{place(path)} has {lines(path)} lines"
    for node in ast.walk(tree(path)):
        if isinstance(node, Functions):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield f"{place(path)}:{node.name} has {length} lines"
        elif isinstance(node, ast.ClassDef):
            public = [n for n in node.body if isinstance(n, Functions) and not n.name.startswith("_")]
            public = [
                n for n in public if not any(isinstance(d, ast.Name) and d.id == "property" for d in n.decorator_list)
            ]
            if len(public) > MAX_PUBLIC_METHODS:
                yield f"{place(path)}:{node.name} has {len(public)} public methods"


def test_modules_functions_and_classes_stay_small() -> None:
    none(fault for path in MODULES for fault in oversized(path))


def faults(module: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Global):
            yield node.lineno, "global statement"
        elif isinstance(node, ast.TryStar):
            yield node.lineno, "before Python 3.11.4 what is raised in except* comes out in a group"
        elif isinstance(node, ast.ExceptHandler):
            if node.type is None:
                yield node.lineno, "bare except"
            elif ast.unparse(node.type) in ("Exception", "BaseException") and isinstance(node.body[0], ast.Pass):
                yield node.lineno, "swallowed exception"
        elif isinstance(node, ast.Call):
            yield from call_faults(node)


def call_faults(node: ast.Call) -> Iterator[tuple[int, str]]:
    name = ast.unparse(node.func)
    bare = not node.args and not node.keywords
    if name in ("asyncio.Queue", "Queue", "queue.Queue") and bare:
        yield node.lineno, "queue without a bound"
    if (
        name in ("deque", "collections.deque")
        and not any(k.arg == "maxlen" for k in node.keywords)
        and len(node.args) < 2
    ):
        yield node.lineno, "deque without a bound (give maxlen, or say why with a list)"
    if name == "print":
        yield node.lineno, "print"
    if name in ("os.getenv", "os.environ.get"):
        yield node.lineno, "environment read outside settings"
    if name == "asyncio.sleep" and node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value != 0:
        yield node.lineno, "sleep for a constant time"


def test_habits_to_avoid() -> None:
    none(
        f"{place(path)}:{line}: {what}"
        for path in MODULES
        if place(path) != "server/settings.py"
        for line, what in faults(tree(path))
    )


def unnamed(path: Path) -> Iterator[str]:
    if path.stem in FORBIDDEN_NAMES:
        yield f"{place(path)} says nothing of what it is for"
    module = tree(path)
    if path.stem != "__init__" and not ast.get_docstring(module):
        yield f"{place(path)} has no docstring"
    for node in module.body:
        if not isinstance(node, Functions | ast.ClassDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield f"{place(path)}:{node.name} has no docstring"


def test_names_say_what_a_module_is_for() -> None:
    none(fault for path in MODULES for fault in unnamed(path))
