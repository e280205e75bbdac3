"""Soil loss of a hillslope by RUSLE."""

from __future__ import annotations

import math

from weppdemo.terrain.network import Hillslope


def slope_length_factor(length: float, slope: float) -> float:
    """LS from the length (m) and the slope (m/m); steep and gentle slopes have their own equations."""
    angle = math.atan(slope)
    beta = (math.sin(angle) / 0.0896) / (3.0 * math.pow(math.sin(angle), 0.8) + 0.56)
    exponent = beta / (1.0 + beta)
    steep = 10.8 * math.sin(angle) + 0.03 if slope < 0.09 else 16.8 * math.sin(angle) - 0.5
    return math.pow(length / 22.13, exponent) * steep


def soil_loss(hillslope: Hillslope, erosivity: float, erodibility: float, cover_factor: float) -> float:
    """Annual soil loss in t/ha."""
    length = min(hillslope.length, 300.0)
    return erosivity * erodibility * slope_length_factor(length, hillslope.slope) * cover_factor


def delivery_ratio(hillslope: Hillslope, ground_cover: float) -> float:
    """The share of the eroded soil that reaches the channel."""
    roughness = 0.3 + 0.6 * ground_cover
    return round(math.exp(-roughness * hillslope.length / (300.0 * math.sqrt(hillslope.slope))), 4)
