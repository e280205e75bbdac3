"""Reads what was recorded of real traffic, with coverage.py, and says which functions that was."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import coverage

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Workspace

ALWAYS = {"PROFILE_COVERAGE_ALWAYS": "symbols"}
#: Requests as a server makes them. Whatever the machine is busy with, a sample can be paid for.
WSGI = """
import playtrace_agent.wsgi
from playtrace_agent import _native
import app

target = playtrace_agent.wsgi.TraceMiddleware(app.application)


def get(path, method="GET", **headers):
    import io, sys
    from wsgiref.util import setup_testing_defaults
    _native.pretend(None)
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "wsgi.input": io.BytesIO()}
    setup_testing_defaults(environ)
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    said = []
    answer = target(environ, lambda status, headers, exc_info=None: said.append(status))
    body = b"".join(answer)
    getattr(answer, "close", int)()
    # The thread serves the next request as if there had been none.
    assert type(_native.held()) not in (_native.Route, _native.Token), _native.held()
    return said[0][:3], body.decode()
"""


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
