"""Metric results in English units."""

from __future__ import annotations

ENGLISH = {"mm": ("in", 0.03937), "ha": ("ac", 2.4711), "t/ha": ("ton/ac", 0.4461), "kg": ("lb", 2.2046)}


def convert(value: float, unit: str) -> tuple[float, str]:
    """A value and its unit in English units; unknown units stay as they are."""
    name, factor = ENGLISH.get(unit, (unit, 1.0))
    return round(value * factor, 3), name


def shown(value: float, unit: str, english: bool) -> str:
    """A value as the reports print it."""
    if english:
        value, unit = convert(value, unit)
    return f"{value:,.2f} {unit}"
