"""CPython's `re` on patterns and texts: where each pattern is found; the reason where it is refused."""

from __future__ import annotations

import json
import re
import sys
import warnings


def found(pattern: str, texts: list[str]) -> list[list[tuple[int, int]]] | str:
    """The spans of all matches in each text, as bytes of UTF-8."""
    try:
        compiled = re.compile(pattern, re.MULTILINE)
    except (re.error, OverflowError) as error:
        return str(error)
    spans: list[list[tuple[int, int]]] = []
    for text in texts:
        byte = [0]
        for c in text:
            byte.append(byte[-1] + len(c.encode()))
        spans.append([(byte[match.start()], byte[match.end()]) for match in compiled.finditer(text)])
    return spans


def main() -> None:
    """Answers the question that comes as JSON."""
    # What may mean something else one day means what it means.
    warnings.simplefilter("ignore")
    asked = json.load(sys.stdin)
    json.dump([found(pattern, asked["texts"]) for pattern in asked["patterns"]], sys.stdout)


main()
