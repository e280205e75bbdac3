"""What pages say: the rows of the indexes, and the state and contexts of each line."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

INDEXES = ("index.html", "function_index.html", "class_index.html")
#: coverage.py's classes of a line, and ours.
STATES = {
    "run": "executed",
    "mis show_mis": "missing",
    "exc show_exc": "excluded",
    "run run2": "executed more",
    "mis mis2 show_mis": "missing more",
    "exc exc2 show_exc": "excluded more",
    "pln": "",
}

#: Number, state, contexts and label of a line of ours.
LINE = re.compile(r'<p id="L(\d+)" class="([^"]*)">.*?(?:<i(?: data-contexts="([^"]*)")?>([^<]*)</i>)?</p>')

Facts = dict[str, Any]


def theirs(home: Path) -> Facts:
    """The facts of coverage.py's pages."""
    facts: Facts = {}
    for index in INDEXES:
        text = (home / index).read_text(encoding="utf-8")
        rows = []
        for row in re.findall(r'<tr class="region">(.*?)</tr>', text, re.DOTALL):
            cells = cells_of(row)
            rows.append([re.sub(r"^\(no \w+\)$", "(outside)", cell) for cell in cells])
            if index == "index.html" and (href := re.search(r'href="([^"]+)"', row)):
                page = home / html.unescape(href[1])
                facts[f"page of {cells[0]}"] = list(their_lines(page.read_text(encoding="utf-8")))
        total = re.search(r'<tr class="total">(.*?)</tr>', text, re.DOTALL)
        cells = cells_of(total[1]) if total else []
        notes = re.findall(r"<p>\s*(\d+ [^<]* skipped[^<]*)</p>", text)
        facts[index] = {"rows": rows, "total": cells[1:], "notes": list(map(plain, notes))}
    return facts


def their_lines(text: str) -> Iterator[tuple[int, str, str]]:
    """Number, state and contexts of the lines that have a state."""
    found = re.finditer(
        r'<p class="([^"]*)"><span class="n"><a id="t(\d+)".*?<span class="r">(.*?)</span>(?:<span class="ctxs"|</p>)',
        text,
        re.DOTALL,
    )
    for line in found:
        label = re.search(r"<label[^>]*>(.*?)</label>", line[3])
        if state := STATES[line[1]]:
            yield int(line[2]), state, label[1] if label else ""


def ours(home: Path) -> Facts:
    """The same of our pages."""
    facts: Facts = {}
    for index in INDEXES:
        text = (home / index).read_text(encoding="utf-8")
        body, foot = (re.search(rf"<{part}>(.*?)</{part}>", text, re.DOTALL) for part in ("tbody", "tfoot"))
        assert body
        assert foot
        rows = []
        for row in re.findall(r"<tr>(.*?)</tr>", body[1]):
            cells = cells_of(row)
            rows.append(cells)
            if index == "index.html" and (href := re.search(r'href="([^"]+)"', row)):
                page = home / unquote(href[1])
                facts[f"page of {cells[0]}"] = list(our_lines(page.read_text(encoding="utf-8")))
        total = cells_of(foot[1])[1:]
        notes = re.findall(r'<p class="dim">(.*?)</p>', text)
        facts[index] = {"rows": rows, "total": total, "notes": list(map(plain, notes))}
    return facts


def our_lines(text: str) -> Iterator[tuple[int, str, str]]:
    """Number, state and contexts of the lines that have a state."""
    names = re.findall(r"<li>(.*?)</li>", text.partition('<ol class="contexts">')[2])
    for line in LINE.finditer(text):
        ranges = re.findall(r"(\d+)(?:-(\d+))?", line[3] or "")
        count = sum(int(last or first) - int(first) + 1 for first, last in ranges)
        label = line[4] or ""
        # What the label says is what the numbers name.
        assert label in ("", "(empty)") or (label == f"{count} ctx" and count <= len(names)), line[0]
        yield int(line[1]), line[2], label


def cells_of(row: str) -> list[str]:
    """The texts of a row's cells that have one: some only make room."""
    return [text for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) if (text := plain(cell))]


def plain(cell: str) -> str:
    """The text of a cell."""
    return html.unescape(re.sub(r"<[^>]*>", "", cell)).replace("\xa0", "").strip()
