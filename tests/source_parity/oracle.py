"""What coverage.py and CPython say about Python files: one JSON object a line.

Usage: python oracle.py <FILES >FACTS, with one file name a line on the standard input. It runs under the CPython
whose rules are in question, with the coverage.py whose rules are in question; nothing of playtrace is imported.
"""

from __future__ import annotations

import ast
import json
import sys
import types
import warnings
from collections.abc import Iterator
from multiprocessing import Pool
from typing import Any

from coverage.config import DEFAULT_EXCLUDE
from coverage.exceptions import NotPython
from coverage.misc import join_regex
from coverage.parser import PythonParser
from coverage.python import get_python_source
from coverage.regions import code_regions

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
#: How many files a worker takes at a time.
CHUNK = 8

Facts = dict[str, Any]


def facts(path: str) -> Facts:
    """Everything that is compared about a file; `error` says why there is nothing."""
    try:
        text = get_python_source(path)
        if not text:
            return nothing(path)
        parser = PythonParser(text=text, filename=path, exclude=join_regex(DEFAULT_EXCLUDE))
        parser.parse_source()
        tree = ast.parse(text)
        module = compile(text, path, "exec", dont_inherit=True)
    except (NotPython, SyntaxError, ValueError, RecursionError, MemoryError, LookupError) as error:
        return {"path": path, "error": str(error)}
    ignored = parser.excluded | parser.raw_docstrings
    definitions, lambdas = symbols(tree, module, parser, ignored)
    return {
        "path": path,
        "statements": sorted(parser.statements),
        "excluded": sorted(parser.excluded),
        "docstrings": sorted(parser.raw_docstrings),
        "multiline": multiline(parser),
        "regions": [[r.kind, r.name, r.start, sorted(r.lines)] for r in code_regions(text)],
        "definitions": definitions,
        "lambdas": lambdas,
    }


def nothing(path: str) -> Facts:
    """An empty file: coverage.py's parser refuses an empty text, and its reports show no statement."""
    lists: Facts = {name: [] for name in ("statements", "excluded", "docstrings", "multiline", "regions", "lambdas")}
    return {"path": path, **lists, "definitions": [{"name": "<module>", "kind": "module", "statements": []}]}


def multiline(parser: PythonParser) -> list[list[int]]:
    """The multi-line map as sorted [first, last] pairs."""
    ends: dict[int, int] = {}
    for line, first in parser.multiline_map.items():
        ends[first] = max(line, ends.get(first, 0))
    return [list(pair) for pair in sorted(ends.items())]


def symbols(
    tree: ast.Module, module: types.CodeType, parser: PythonParser, ignored: set[int]
) -> tuple[list[Facts], list[Facts]]:
    """Definitions by CPython's syntax tree, with names and statements by its code objects; and the lambdas.

    A definition that the compiler leaves out (dead code) has no name but its own, and no statements.
    """
    codes: dict[tuple[str, int], list[types.CodeType]] = {}
    for found_code in code_objects(module):
        codes.setdefault((found_code.co_name, found_code.co_firstlineno), []).append(found_code)

    def own(code: types.CodeType | None, body_line: int = 0) -> list[int]:
        if code is None:
            return []
        lines = set(own_lines(code, defined))
        if not lines and body_line == code.co_firstlineno:
            # 3.12 drops a `pass` on the line of its `def`; the line runs all the same.
            lines = {body_line}
        return sorted(parser.first_lines(lines - ignored) - ignored)

    source = [line.encode() for line in parser.text.split("\n")]
    nodes = list(definitions_of(tree))
    first_lines = {id(node): min([node.lineno, *(d.lineno for d in node.decorator_list)]) for node, _ in nodes}
    defined = {(node.name, first_lines[id(node)]) for node, _ in nodes}
    found: list[Facts] = []
    for node, kind in nodes:
        same = codes.get((node.name, first_lines[id(node)]), [])
        code = same.pop(0) if same else None
        found.append(
            {
                "name": node.name,
                "qualname": code and code.co_qualname,
                "kind": kind,
                "line": node.lineno,
                "span": [first_lines[id(node)], node.end_lineno],
                "async": isinstance(node, ast.AsyncFunctionDef),
                "decorators": [segment(source, decorator) for decorator in node.decorator_list],
                "docstring": docstring(node),
                "statements": own(code, node.body[0].lineno),
            }
        )
    top = {"name": "<module>", "kind": "module", "statements": own(module)}
    return [top, *found], lambdas_of(tree, module, source)


def lambdas_of(tree: ast.AST, module: types.CodeType, source: list[bytes]) -> list[Facts]:
    """Lambdas with their places by the syntax tree, then those that were compiled, with their names."""
    places = sorted(
        (node.lineno, len(source[node.lineno - 1][: node.col_offset].decode()))
        for node in ast.walk(tree)
        if isinstance(node, ast.Lambda)
    )
    named = sorted(
        (code.co_firstlineno, code.co_qualname) for code in code_objects(module) if code.co_name == "<lambda>"
    )
    return [
        *({"line": line, "column": column} for line, column in places),
        *({"line": line, "qualname": name} for line, name in named),
    ]


def segment(source: list[bytes], node: ast.expr) -> str:
    """The source of an expression, on one line."""
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    lines = source[first : last + 1]
    lines[-1] = lines[-1][: node.end_col_offset]
    lines[0] = lines[0][node.col_offset :]
    return " ".join(b"\n".join(lines).decode().split())


def docstring(node: Any) -> list[int] | None:
    """The lines of a definition's docstring."""
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return [first.lineno, first.end_lineno or first.lineno]
    return None


def code_objects(code: types.CodeType) -> Iterator[types.CodeType]:
    """All code objects, in the order of their definitions."""
    yield code
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from code_objects(const)


def own_lines(code: types.CodeType, defined: set[tuple[str, int]]) -> Iterator[int]:
    """The lines of a definition's own instructions, with those of lambdas and comprehensions in it.

    What a function or a class does before its body begins stands at column 0 of its first line, without width, or
    (in a generator) at no column.
    """
    before = {(code.co_firstlineno, column, column) for column in (0, None)}
    for line, _, column, end_column in set(code.co_positions()):
        if line and (line, column, end_column) not in before:
            yield line
    for const in code.co_consts:
        if isinstance(const, types.CodeType) and (const.co_name, const.co_firstlineno) not in defined:
            yield from own_lines(const, defined)


def definitions_of(tree: ast.AST, inside_class: bool = False) -> Iterator[tuple[Any, str]]:
    """Classes and functions with their kinds, in source order."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.expr):
            continue
        if isinstance(node, DEFINITIONS):
            is_class = isinstance(node, ast.ClassDef)
            yield node, "class" if is_class else "method" if inside_class else "function"
            yield from definitions_of(node, is_class)
        else:
            # `if` and `try` in a class body do not end it.
            yield from definitions_of(node, inside_class)


def main() -> None:
    """Answer for each file named on the standard input, in that order."""
    warnings.simplefilter("ignore")
    sys.setrecursionlimit(10_000)
    paths = sys.stdin.read().splitlines()
    processes = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    if processes == 1:
        for path in paths:
            print(json.dumps(facts(path)))
        return
    with Pool(processes) as pool:
        for found in pool.imap(facts, paths, CHUNK):
            print(json.dumps(found))


if __name__ == "__main__":
    main()
