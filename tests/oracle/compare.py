"""Two sets of executed lines, compared file by file and line by line."""

from __future__ import annotations

from pathlib import Path

from tests.oracle.run import Lines, pairs


def differences(expected: Lines, found: Lines, root: Path, names: tuple[str, str]) -> list[str]:
    """One text for each line that only one side has, with its source."""
    texts: list[str] = []
    expected_pairs, found_pairs = set(pairs(expected)), set(pairs(found))
    for path, line in sorted(expected_pairs ^ found_pairs):
        side = names[0] if (path, line) in expected_pairs else names[1]
        texts.append(f"{path}:{line}: only {side}: {source_line(root / path, line)}")
    return texts


def source_line(path: Path, line: int) -> str:
    """The text of a line, for people."""
    if not path.is_file():
        return "(there is no such file)"
    lines = path.read_text(encoding="utf-8").splitlines()
    return lines[line - 1].strip() if line <= len(lines) else "(the file has no such line)"
