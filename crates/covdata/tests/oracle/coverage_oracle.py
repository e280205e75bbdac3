"""Answers of coverage.py 7.11.3 and of CPython, for the tests beside this directory.

Called as `coverage_oracle.py QUESTION`: takes JSON on standard input, prints JSON.
"""

from __future__ import annotations

import configparser
import contextlib
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coverage
import coverage.cmdline
from coverage.config import CoverageConfig
from coverage.files import GlobMatcher, prep_patterns
from coverage.inorout import InOrOut


def write(files: list[dict[str, Any]]) -> None:
    """Writes data files: name, rows (context, file, numbers or pairs), touched files, tracers."""
    for file in files:
        data = coverage.CoverageData(file["name"])
        add: Callable[[dict[str, Any]], None] = data.add_lines
        if file["arcs"]:
            add = data.add_arcs
        add({})
        for context, path, numbers in file["rows"]:
            data.set_context(context)
            add({path: [tuple(pair) for pair in numbers] if file["arcs"] else numbers})
        data.touch_files(file["touched"])
        data.add_file_tracers(file["tracers"])
        data.write()
        data.close()


def read(names: list[str]) -> list[dict[str, Any]]:
    """What data files hold."""
    answers = []
    for name in names:
        data = coverage.CoverageData(name)
        data.read()
        rows = []
        for context in sorted(data.measured_contexts()):
            data.set_query_context(context)
            for path in sorted(data.measured_files()):
                found = data.arcs(path) if data.has_arcs() else data.lines(path)
                if found:
                    rows.append([context, path, sorted(found)])
        tracers = {path: data.file_tracer(path) for path in data.measured_files()}
        answers.append(
            {
                "arcs": data.has_arcs(),
                "files": sorted(data.measured_files()),
                "contexts": sorted(data.measured_contexts()),
                "rows": rows,
                "tracers": {path: tracer for path, tracer in tracers.items() if tracer},
            }
        )
        data.close()
    return answers


def combine(questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Runs `coverage combine` in directories and says how it ended."""
    answers = []
    for question in questions:
        before = Path.cwd()
        os.chdir(question["dir"])
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                code = coverage.cmdline.main(["combine", *question["arguments"]])
        finally:
            os.chdir(before)
        answers.append({"code": code, "output": said.getvalue()})
    return answers


def match(questions: list[dict[str, Any]]) -> list[list[bool] | None]:
    """Which paths fit patterns; null where coverage.py refuses the patterns."""
    answers: list[list[bool] | None] = []
    for question in questions:
        try:
            matcher = GlobMatcher(question["patterns"])
        except Exception:
            answers.append(None)
        else:
            answers.append([matcher.match(path) for path in question["paths"]])
    return answers


def ini(texts: list[str]) -> list[list[list[str]] | None]:
    """(section, key, value) of INI texts; null where CPython refuses them."""
    answers: list[list[list[str]] | None] = []
    for text in texts:
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(text)
        except configparser.Error:
            answers.append(None)
        else:
            sections = parser.sections()
            answers.append([[name, key, value] for name in sections for key, value in parser.items(name)])
    return answers


def config(questions: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
    """The settings of configuration files; null where coverage.py refuses them."""
    answers: list[dict[str, Any] | None] = []
    for question in questions:
        before = dict(os.environ)
        os.environ.update(question["environment"])
        settings = CoverageConfig()
        warnings: list[str] = []
        try:
            used = settings.from_file(question["name"], warnings.append, our_file=question["ours"])
            settings.post_process()
        except Exception:
            answers.append(None)
        else:
            answers.append(
                {
                    "used": used,
                    "unknown": len(warnings),
                    "branch": settings.branch,
                    "parallel": settings.parallel,
                    "context": settings.context,
                    "data_file": settings.data_file,
                    "relative_files": settings.relative_files,
                    "cover_pylib": settings.cover_pylib,
                    "source": settings.source or [],
                    "source_pkgs": settings.source_pkgs,
                    "source_dirs": settings.source_dirs,
                    "run_include": settings.run_include,
                    "run_omit": settings.run_omit,
                    "exclude": settings.exclude_list,
                    "partial": settings.partial_list,
                    "partial_always": settings.partial_always_list,
                    "report_include": settings.report_include or [],
                    "report_omit": settings.report_omit or [],
                    "namespaces": settings.include_namespace_packages,
                    "paths": list(settings.paths.items()),
                }
            )
        finally:
            os.environ.clear()
            os.environ.update(before)
    return answers


def decisions(settings: CoverageConfig) -> InOrOut:
    """coverage.py's own decider for these settings."""
    return InOrOut(settings, warn=lambda *_, **__: None, debug=None, include_namespace_packages=False)


def trace(question: dict[str, Any]) -> dict[str, Any]:
    """For each configuration and file: the name under which it is measured, or null. And the installation."""
    answers = []
    for settings in question["configs"]:
        made = coverage.Coverage(config_file=settings, data_file=None)
        made._init()
        decider = decisions(made.config)
        decider.plugins = made._plugins
        made_of = []
        for file in question["files"]:
            disposition = decider.should_trace(file)
            name = disposition.source_filename
            made_of.append(made._file_mapper(name) if disposition.trace and name else None)
        answers.append(made_of)
    plain = decisions(CoverageConfig())
    return {
        "answers": answers,
        "stdlib": sorted(plain.pylib_paths),
        "third_party": sorted(plain.third_paths),
        "tracers": sorted(plain.cover_paths),
    }


def prepare(patterns: list[str]) -> list[str]:
    """Patterns as coverage.py compiles them."""
    return prep_patterns(patterns)


QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "write": write,
    "read": read,
    "combine": combine,
    "match": match,
    "ini": ini,
    "config": config,
    "trace": trace,
    "prepare": prepare,
}


def main() -> None:
    """Answers one question."""
    if coverage.__version__ != "7.11.3":
        sys.exit(f"{Path(sys.executable)} has coverage.py {coverage.__version__}; the oracle is 7.11.3")
    json.dump(QUESTIONS[sys.argv[1]](json.load(sys.stdin)), sys.stdout)


if __name__ == "__main__":
    main()
