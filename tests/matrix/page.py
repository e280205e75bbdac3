"""The page of the matrix, from the table and the results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_HEAD = """\
# What it is proven with

> Servers, frameworks, queues, kinds of processes: which versions were tested, what is exact, what is not.

This page is made by `make matrix` from the results of tests; nobody writes in it. A version is the one that was
tested: others are likely to work as well, and nobody has looked.

- *Exact*: lines that are known beforehand, or that coverage.py sees, were compared one by one. None was wrong, none was
  lost, and the verdict said so.
- *The load*: eight profiles and untraced requests at once; each request executes lines that no other one does.
- *Not exact*: with the [verdict](../explanation/verdicts.md) that tells of it, if one does.
- *Not run* is neither a success nor a failure.

The results, with the tests that failed, are in `benches/results/matrix.json`; the lines and the tests that prove them
in `python/tests/proofs.py`.
"""


def render(groups: Mapping[str, str], rows: Any, pythons: tuple[str, ...], results: Mapping[str, Any]) -> str:
    """Return the page in Markdown."""
    lines = [_HEAD]
    titles = [_title(python, results) for python in pythons]
    for group, title in groups.items():
        lines += [f"## {title}\n", f"| | version | {' | '.join(titles)} | exact | not exact |"]
        lines.append("|---|---|" + "---|" * (len(pythons) + 2))
        lines += [_line(row, pythons, results) for row in rows if row.group == group]
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def _title(python: str, results: Mapping[str, Any]) -> str:
    return f"CPython {results['versions'].get('python', {}).get(python, python)}"


def _line(row: Any, pythons: tuple[str, ...], results: Mapping[str, Any]) -> str:
    found = {one["python"]: one for one in results["rows"] if one["id"].rpartition(" ")[0] == row.id}
    cells = [_result(found.get(python)) for python in pythons]
    return f"| {row.name} | {_versions(row, found)} | {' | '.join(cells)} | {row.exact or '-'} | {row.inexact or '-'} |"


def _result(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "not run"
    if found["failures"]:
        return f"**{len(found['failures'])} of {found['target']} failed**"
    if not found["value"]:
        return f"not run: {found['reason']}"
    skipped = found["target"] - found["value"]
    return f"{found['value']} passed" + (f", {skipped} not run" if skipped else "")


def _versions(row: Any, found: Mapping[str, Any]) -> str:
    by_text: dict[str, list[str]] = {}
    for python, one in found.items():
        text = ", ".join(_each_version(row.distributions.split(), one["of"]))
        by_text.setdefault(text, []).append(python)
    if len(by_text) <= 1:
        return next(iter(by_text), "") or "-"
    return "; ".join(f"{text} ({', '.join(pythons)})" for text, pythons in by_text.items())


def _each_version(names: list[str], versions: Mapping[str, str | None]) -> Iterator[str]:
    for name in names:
        said = versions.get(name) or "not installed"
        yield said if len(names) == 1 else f"{name} {said}"
