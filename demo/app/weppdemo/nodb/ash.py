"""Options and results of the ash model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from weppdemo.nodb.base import NoDb


@dataclass
class Ash(NoDb):
    """Ash depths in mm at the fire, and what wind and water carried off (kg)."""

    document: ClassVar[str] = "ash"

    fire_month: int = 8
    black_depth: float = 5.0
    white_depth: float = 3.0
    load_source: str = "depths"
    results: dict[str, dict[str, float]] = field(default_factory=dict)
