"""Scenarios that are run beside the base run, and how they compare."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from weppdemo.nodb.base import NoDb


@dataclass
class Omni(NoDb):
    """Scenario definitions, their results by name, and the comparison with the base run."""

    document: ClassVar[str] = "omni"

    scenarios: list[dict[str, Any]] = field(default_factory=list)
    results: dict[str, dict[str, float]] = field(default_factory=dict)
    comparison: list[dict[str, Any]] = field(default_factory=list)
