"""Compares playtrace's reading of Python sources with coverage.py's and CPython's own, file by file.

Usage: python compare.py --inspect PROGRAM NAME...

PROGRAM is pysource's `inspect` example. A NAME is an importable package or module, or a path. For each one a
line says how many files and statements were compared, and how many differ; each difference is printed. The exit
code is 1 if anything differs. Run it under the CPython whose rules are in question, with coverage.py installed.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import subprocess
import sys
import types
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from coverage.config import CoverageConfig
from coverage.exceptions import NotPython
from coverage.misc import join_regex
from coverage.parser import PythonParser
from coverage.python import get_python_source

Fact = tuple[str, object]


def files_of(name: str) -> list[Path]:
    """The Python files of a package, a module or a path; none for a package that is not there."""
    if "/" in name or name.endswith(".py") or name == ".":
        place = Path(name)
    else:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            sys.exit(f"compare.py: there is no package {name!r} for {sys.executable}")
        place = Path(spec.origin)
        if place.name == "__init__.py":
            place = place.parent
    return sorted(place.rglob("*.py")) if place.is_dir() else [place]


def folded(parser: PythonParser) -> list[list[int]]:
    """The multi-line map as sorted [first, last] pairs."""
    ends: dict[int, int] = {}
    for line, first in parser.multiline_map.items():
        ends[first] = max(line, ends.get(first, 0))
    return [list(pair) for pair in sorted(ends.items())]


def code_objects(code: types.CodeType) -> Iterator[types.CodeType]:
    """Code objects of definitions; lambdas, comprehensions and type parameter scopes are passed through."""
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            if not const.co_name.startswith("<"):
                yield const
            yield from code_objects(const)


def definitions(tree: ast.AST, inside_class: bool = False) -> Iterator[tuple[str, str, int, int, int]]:
    """(kind, name, line, first line, last line) of each class and function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            is_class = isinstance(node, ast.ClassDef)
            kind = "class" if is_class else "method" if inside_class else "function"
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            yield kind, node.name, node.lineno, first, node.end_lineno or node.lineno
            yield from definitions(node, is_class)
        else:
            # `if` and `try` in a class body do not end it; expressions hold no definitions.
            yield from definitions(node, inside_class)


def python_facts(text: str) -> set[Fact]:
    """What CPython's parser and compiler say about the definitions."""
    found = set(definitions(ast.parse(text)))
    # Type aliases and the bounds of type parameters have code objects too; they are no definitions.
    names = {(name, first) for _, name, _, first, _ in found}
    facts: set[Fact] = {("definition", definition) for definition in found}
    for code in code_objects(compile(text, "m.py", "exec", dont_inherit=True)):
        if (code.co_name, code.co_firstlineno) in names:
            facts.add(("qualname", (code.co_qualname, code.co_firstlineno)))
    return facts


def our_facts(symbols: Iterable[dict[str, Any]]) -> set[Fact]:
    """What playtrace says about the definitions."""
    facts: set[Fact] = set()
    for symbol in symbols:
        if symbol["kind"] != "module":
            qualname = symbol["name"].removeprefix("m.")
            first, last = symbol["span"]
            facts.add(("definition", (symbol["kind"], qualname.rpartition(".")[2], symbol["line"], first, last)))
            facts.add(("qualname", (qualname, first)))
    return facts


def differences(path: Path, ours: dict[str, Any], exclude: str) -> tuple[int, list[str]]:
    """How many statements coverage.py counts, and where we differ."""
    try:
        text = get_python_source(str(path))
        parser = PythonParser(text=text, filename=str(path), exclude=exclude)
        parser.parse_source()
    except (NotPython, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return 0, [] if "error" in ours else [f"{path}: coverage.py can't read it ({error}), we can"]
    if "error" in ours:
        return len(parser.statements), [f"{path}: coverage.py reads it, we don't: {ours['error']}"]
    found = []
    source = text.split("\n")
    for what, theirs in (
        ("statements", parser.statements),
        ("excluded", parser.excluded),
        ("docstrings", parser.raw_docstrings),
    ):
        for line in sorted(theirs ^ set(ours[what])):
            side = "coverage.py only" if line in theirs else "playtrace only"
            found.append(f"{path}:{line}: {what}: {side}: {source[line - 1].strip() if line <= len(source) else ''}")
    if folded(parser) != ours["multiline"]:
        found.append(f"{path}: multi-line statements differ")
    theirs_facts, our = python_facts(text), our_facts(ours["symbols"])
    # A definition in dead code has no code object, so that only CPython's names can be missed.
    extra = {fact for fact in our - theirs_facts if fact[0] == "definition"}
    found += [f"{path}: symbols: CPython only: {fact}" for fact in sorted(theirs_facts - our, key=repr)]
    found += [f"{path}: symbols: playtrace only: {fact}" for fact in sorted(extra, key=repr)]
    return len(parser.statements), found


def main() -> int:
    """Compare each package; the exit code."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--inspect", required=True, help="pysource's inspect example")
    options.add_argument("--show", type=int, default=20, help="how many differences of a package to print")
    options.add_argument("names", nargs="+")
    chosen = options.parse_args()
    warnings.simplefilter("ignore")
    exclude = join_regex(CoverageConfig().exclude_list)
    worst = 0
    for name in chosen.names:
        paths = files_of(name)
        run = subprocess.run(
            [chosen.inspect, "-"],
            input="".join(f"{path}\n" for path in paths),
            capture_output=True,
            text=True,
            check=True,
        )
        statements = 0
        wrong: list[str] = []
        for path, line in zip(paths, run.stdout.splitlines(), strict=True):
            count, found = differences(path, json.loads(line), exclude)
            statements += count
            wrong += found
        print(f"{name}: files {len(paths)} statements {statements} mismatches {len(wrong)}")
        for text in wrong[: chosen.show]:
            print("  " + text)
        worst = worst or int(bool(wrong))
    return worst


if __name__ == "__main__":
    sys.exit(main())
