"""What a run is: its name, its configuration, its notes, its forks and archives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from weppdemo.nodb.base import NoDb


@dataclass
class Ron(NoDb):
    """The run itself (the documents beside it hold what was built)."""

    document: ClassVar[str] = "ron"

    name: str = ""
    scenario: str = ""
    config: str = ""
    notes: str = ""
    units: str = "metric"
    forks: list[str] = field(default_factory=list)
    archives: list[dict[str, Any]] = field(default_factory=list)
