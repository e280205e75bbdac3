"""The stub says what the binary has, no more and no less."""

from __future__ import annotations

import ast
from pathlib import Path

import playtrace_agent
from playtrace_agent import _native


def test_the_stub_names_what_the_binary_has() -> None:
    stub = ast.parse((Path(playtrace_agent.__file__).parent / "_native.pyi").read_text())
    functions = {node.name: node for node in stub.body if isinstance(node, ast.FunctionDef)}
    classes = {node.name for node in stub.body if isinstance(node, ast.ClassDef)}
    names = {name for name in dir(_native) if not name.startswith("__")}
    assert names == set(functions) | classes
    for name, node in functions.items():
        signature = getattr(_native, name).__text_signature__
        found = ast.parse(f"def f{signature.replace('($module, ', '(')}: ...").body[0]
        assert isinstance(found, ast.FunctionDef)
        stub_args, found_args = node.args, found.args
        assert [arg.arg for arg in stub_args.args] == [arg.arg for arg in found_args.args], name
        assert [arg.arg for arg in stub_args.kwonlyargs] == [arg.arg for arg in found_args.kwonlyargs], name


def test_the_versions_agree() -> None:
    assert playtrace_agent.__version__ == _native.__version__
