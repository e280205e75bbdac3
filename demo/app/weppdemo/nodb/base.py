"""What every document of a run's state has in common.

A document is a dataclass kept as JSON in the run's directory. Reading takes no lock, for writers replace
the file in one step; `edit` holds an exclusive lock from load to dump.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from weppdemo.workspace import Workspace, write_atomically


@dataclass
class NoDb:
    """A document of a run's state."""

    document: ClassVar[str] = ""

    @classmethod
    def load(cls, workspace: Workspace) -> Self:
        """The document as it is on disk, or a new one with defaults."""
        path = workspace.path("nodb", f"{cls.document}.json")
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return cls(**raw)

    def dump(self, workspace: Workspace) -> None:
        """Write the document, replacing what was there."""
        path = workspace.path("nodb", f"{self.document}.json")
        write_atomically(path, json.dumps(asdict(self), indent=1, sort_keys=True))

    @classmethod
    @contextmanager
    def edit(cls, workspace: Workspace) -> Iterator[Self]:
        """Load, let the caller change the document, dump; nothing is written when the caller raises."""
        lock_path = workspace.path("nodb", "locks", f"{cls.document}.lock")
        with lock_path.open("w", encoding="utf-8") as lock:
            # A blocking lock: how long one waits changes no line that is executed.
            fcntl.flock(lock, fcntl.LOCK_EX)
            document = cls.load(workspace)
            yield document
            document.dump(workspace)
