"""What coverage.py answered before: digests, so that its hours are paid once for each release and package."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.export_parity.cases import Case
from tests.source_parity import places
from tests.source_parity.places import Oracle

HOME = places.TOOLS / "answers"
#: What an answer depends on besides the oracle, the files, and the case.
_MAKERS = [Path(__file__).parent / name for name in ("make_data.py", "run_coverage.py", "cases.py", "pages.py")]


def digest(report: Any) -> str:
    """The digest of a report that was made comparable."""
    text = json.dumps(report, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Answers:
    """The known answers of one oracle on one package's data."""

    directory: Path

    def of(self, case: Case) -> str | None:
        """The digest of its answer, if it has been asked."""
        file = self.directory / _name(case)
        return file.read_text(encoding="utf-8") if file.is_file() else None

    def keep(self, case: Case, report: Any) -> None:
        """Remember an answer."""
        self.directory.mkdir(parents=True, exist_ok=True)
        part = self.directory / f"{_name(case)}.part"
        part.write_text(digest(report), encoding="utf-8")
        part.replace(self.directory / _name(case))


def known(package: str, oracle: Oracle, home: Path, files: Sequence[Path], contexts: int) -> Answers:
    """The answers of an oracle on the data of these files, as they are now."""
    whole = hashlib.sha256(f"{oracle.described} {home} {contexts}\n".encode())
    for maker in _MAKERS:
        whole.update(maker.read_bytes())
    for file in files:
        whole.update(f"{file.relative_to(home)}\n".encode() + hashlib.sha256(file.read_bytes()).digest())
    return Answers(HOME / f"{package}-python-{oracle.python}-coverage-{oracle.coverage}-{whole.hexdigest()[:16]}")


def _name(case: Case) -> str:
    return case.name.replace(", ", "-").replace(" ", "-")
