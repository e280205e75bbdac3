"""Reads what was recorded of real traffic, with coverage.py, and says which functions that was."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import coverage

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Workspace

ALWAYS = {"PROFILE_COVERAGE_ALWAYS": "symbols"}


def shards(workspace: Workspace, day: str = "*") -> list[Path]:
    """Return the shards of a day, or of all."""
    return sorted((workspace.data / "anyone").glob(f"{day}/anyone.coverage.*"))


def functions(text: str) -> dict[int, str]:
    """Return the functions of a source by the first line of each, its decorators' included."""
    found = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])] = node.name
    return found


def entered(workspace: Workspace, day: str = "*", file: str = "app.py") -> set[str]:
    """Return the names of a file's functions that real traffic entered. What is none has its line for a name."""
    names, found = functions((workspace.app / file).read_text()), set()
    for shard in shards(workspace, day):
        data = coverage.CoverageData(str(shard))
        data.read()
        assert "anyone" in data.measured_contexts()
        found |= {names.get(line, str(line)) for line in data.lines(file) or ()}
        data.close(force=True)
    return found


def by_route(workspace: Workspace, day: str = "*", file: str = "app.py") -> dict[str, set[str]]:
    """Return the names of the functions that each route, or function of a job, was seen to enter."""
    names, found = functions((workspace.app / file).read_text()), dict[str, set[str]]()
    for shard in shards(workspace, day):
        data = coverage.CoverageData(str(shard))
        data.read()
        for context in data.measured_contexts() - {"anyone"}:
            of, _, route = context.partition(":")
            assert of == "anyone"
            data.set_query_context(context)
            found.setdefault(route, set()).update(names.get(line, str(line)) for line in data.lines(file) or ())
        data.close(force=True)
    return found
