"""The rules that keep the code small and its data flowing one way, read off the syntax trees."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_imports_point_downwards(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    for name in imported(tree(path)):
        top = name.split(".")[0]
        if top in PACKAGES and top != package:
            assert top in ALLOWED[package], f"{place(path)} imports {name}"
        assert top not in ("tests", "loadtest"), f"{place(path)} imports {name}"


@pytest.mark.parametrize("path", [p for p in MODULES if place(p).startswith("protocol/")], ids=place)
def test_protocol_needs_the_standard_library_and_pydantic_only(path: Path) -> None:
    import sys

    for name in imported(tree(path)):
        top = name.split(".")[0]
        assert top == "protocol" or top in sys.stdlib_module_names or top in PURE, f"{place(path)} imports {name}"


@pytest.mark.parametrize("path", [p for p in MODULES if "dialects" in p.parts], ids=place)
def test_a_dialect_knows_no_other_dialect(path: Path) -> None:
    own = ".".join(("protocol.dialects", path.relative_to(ROOT / "protocol" / "dialects").parts[0]))
    for name in imported(tree(path)):
        foreign = name.startswith("protocol.dialects.") and not name.startswith(f"{own}.")
        assert not foreign, f"{place(path)} imports {name}"


@pytest.mark.parametrize("path", [p for p in MODULES if "dialects" in p.parts], ids=place)
def test_a_dialect_is_thin(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_DIALECT_LINES, f"{place(path)} has {lines} lines"


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_modules_functions_and_classes_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_MODULE_LINES, f"{place(path)} has {text.count(chr(10))} lines"
    for node in ast.walk(tree(path)):
        if isinstance(node, Functions):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{place(path)}:{node.name} has {length} lines"
        elif isinstance(node, ast.ClassDef):
            public = [n for n in node.body if isinstance(n, Functions) and not n.name.startswith("_")]
            public = [
                n for n in public if not any(isinstance(d, ast.Name) and d.id == "property" for d in n.decorator_list)
            ]
            assert len(public) <= MAX_PUBLIC_METHODS, f"{place(path)}:{node.name} has {len(public)} public methods"


def faults(module: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Global):
            yield node.lineno, "global statement"
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


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_habits_to_avoid(path: Path) -> None:
    found = [
        f"{place(path)}:{line}: {what}" for line, what in faults(tree(path)) if place(path) != "server/settings.py"
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_names_say_what_a_module_is_for(path: Path) -> None:
    assert path.stem not in FORBIDDEN_NAMES
    module = tree(path)
    if path.stem != "__init__":
        assert ast.get_docstring(module), f"{place(path)} has no docstring"
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{place(path)}:{node.name} has no docstring"
