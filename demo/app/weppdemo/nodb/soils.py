"""Which soil lies under each hillslope."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from weppdemo.errors import NotReady
from weppdemo.nodb.base import NoDb


@dataclass
class Soils(NoDb):
    """Textures and erodibilities by hillslope."""

    document: ClassVar[str] = "soils"

    mode: str = "gridded"
    texture: dict[str, str] = field(default_factory=dict)
    erodibility: dict[str, float] = field(default_factory=dict)
    depth_factor: float = 1.0

    def texture_of(self, hillslope: int) -> str:
        """The texture class of a hillslope; raises `NotReady` before soils are built."""
        if not self.texture:
            raise NotReady("build the soils first")
        return self.texture[str(hillslope)]
