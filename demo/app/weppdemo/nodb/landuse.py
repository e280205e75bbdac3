"""Which cover grows (or burned) on each hillslope."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from weppdemo.errors import NotReady
from weppdemo.nodb.base import NoDb


@dataclass
class Landuse(NoDb):
    """Cover classes by hillslope. JSON keys are strings, so hillslope ids are kept as text."""

    document: ClassVar[str] = "landuse"

    mode: str = "gridded"
    single: str = "forest"
    cover: dict[str, str] = field(default_factory=dict)
    severity: dict[str, int] = field(default_factory=dict)
    transform: dict[str, str] = field(default_factory=dict)
    rap: dict[str, list[float]] = field(default_factory=dict)
    has_sbs: bool = False

    def cover_of(self, hillslope: int) -> str:
        """The cover class of a hillslope; raises `NotReady` before land use is built."""
        if not self.cover:
            raise NotReady("build the land use first")
        return self.cover[str(hillslope)]

    def shares(self) -> dict[str, int]:
        """How many hillslopes carry each cover class, by name."""
        classes = sorted(set(self.cover.values()))
        return {name: sum(cover == name for cover in self.cover.values()) for name in classes}
