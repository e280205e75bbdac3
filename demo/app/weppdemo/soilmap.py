"""Textures by position on the slope, and the erodibility that follows from a texture."""

from __future__ import annotations

import math
from dataclasses import dataclass

from weppdemo.terrain.network import Hillslope


@dataclass(frozen=True)
class Texture:
    """Shares of sand, silt and clay, and of organic carbon, in percent."""

    sand: float
    silt: float
    clay: float
    carbon: float


TEXTURES = {
    "clay loam": Texture(32.0, 34.0, 34.0, 1.6),
    "silt loam": Texture(20.0, 65.0, 15.0, 2.0),
    "loam": Texture(41.0, 41.0, 18.0, 1.8),
    "sandy loam": Texture(65.0, 25.0, 10.0, 1.1),
}


def texture_for(hillslope: Hillslope) -> str:
    """Steep slopes are sandier, flat ones hold more clay."""
    if hillslope.slope > 0.35:
        return "sandy loam"
    if hillslope.slope > 0.20:
        return "loam"
    if hillslope.slope > 0.08:
        return "silt loam"
    return "clay loam"


def erodibility(texture: Texture, depth_factor: float) -> float:
    """RUSLE's K by the EPIC equation, scaled for shallow soils (t ha h / (ha MJ mm))."""
    fine = 1.0 - texture.sand / 100.0
    sand_term = 0.2 + 0.3 * math.exp(-0.0256 * texture.sand * (1.0 - texture.silt / 100.0))
    silt_term = math.pow(texture.silt / (texture.clay + texture.silt), 0.3)
    carbon = texture.carbon
    carbon_term = 1.0 - 0.25 * carbon / (carbon + math.exp(3.72 - 2.95 * carbon))
    sandy_term = 1.0 - 0.7 * (1.0 - fine) / ((1.0 - fine) + math.exp(-5.51 + 22.9 * fine))
    return round(0.1317 * sand_term * silt_term * carbon_term * sandy_term / depth_factor, 5)
