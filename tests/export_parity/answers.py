"""What coverage.py answered before: digests, so that its hours are paid once for each release and package."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.export_parity.cases import Case
from tests.source_parity.places import Oracle

HOME = Path(__file__).parent / "known"
#: What an answer depends on besides the oracle, the files, and the case.
_MAKERS = [Path(__file__).parent / name for name in ("make_data.py", "run_coverage.py", "cases.py", "pages.py")]


@dataclass(frozen=True)
class Answers:
    """The known answers of one oracle on one package's data: a file of digests."""

    file: Path
    #: The digest of all that these answers depend on.
    of_what: str

    def knows(self, case: Case, answer: str) -> bool:
        """Whether it answered with the report of this digest, when it was asked."""
        return self._all().get(case.name) == answer

    def keep(self, case: Case, answer: str) -> None:
        """Remember the digest of an answer."""
        known = self._all() | {case.name: answer}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        part = self.file.with_suffix(".part")
        part.write_text(json.dumps({"of": self.of_what, "reports": known}, indent=1) + "\n", encoding="utf-8")
        part.replace(self.file)

    def _all(self) -> dict[str, str]:
        if not self.file.is_file():
            return {}
        document = json.loads(self.file.read_text(encoding="utf-8"))
        return dict(document["reports"]) if document["of"] == self.of_what else {}


def digest(report: Any, home: Path) -> str:
    """Return a report's digest; where the package is on this machine does not matter."""
    text = json.dumps(report, sort_keys=True, ensure_ascii=True)
    place = json.dumps(str(home), ensure_ascii=True).strip('"')
    return hashlib.sha256(text.replace(place, "HOME").encode()).hexdigest()


def known(package: str, oracle: Oracle, home: Path, files: Sequence[Path], contexts: int) -> Answers:
    """The answers of an oracle on the data of these files, as they are now."""
    whole = hashlib.sha256(f"{oracle.described} {contexts}\n".encode())
    for maker in _MAKERS:
        whole.update(maker.read_bytes())
    for file in files:
        whole.update(f"{file.relative_to(home)}\n".encode() + hashlib.sha256(file.read_bytes()).digest())
    name = f"{package}-python-{oracle.python}-coverage-{oracle.coverage}.json"
    return Answers(HOME / name, whole.hexdigest())
