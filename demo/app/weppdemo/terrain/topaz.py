"""Delineation the way TOPAZ does it: fill the depressions, then follow the steepest descent."""

from __future__ import annotations

from weppdemo.terrain.flow import OUTFLOW, FlowField, steepest_receiver
from weppdemo.terrain.grid import Grid

# Added when a depression is filled, so that the filled area still drains (metres).
_INCREMENT = 0.001


def fill_depressions(grid: Grid) -> list[float]:
    """Raise every inner cell until one of its neighbours is lower; borders keep their height."""
    highest = max(grid.values) + 1.0
    filled = [
        value if grid.is_edge(cell) else highest for cell, value in enumerate(grid.values)
    ]
    changed = True
    while changed:
        changed = False
        for cell, ground in enumerate(grid.values):
            if filled[cell] <= ground:
                continue
            lowest = min(filled[other] for other, _ in grid.neighbours(cell)) + _INCREMENT
            target = max(ground, lowest)
            if target < filled[cell]:
                filled[cell] = target
                changed = True
    return filled


def flow_field(grid: Grid) -> FlowField:
    """D8 directions over the filled terrain, highest cells first."""
    filled = fill_depressions(grid)
    receiver = [steepest_receiver(grid, filled, cell) for cell in range(len(filled))]
    order = sorted(range(len(filled)), key=lambda cell: (-filled[cell], cell))
    return FlowField(receiver, order)


def find_outlet(grid: Grid, flow: FlowField) -> int:
    """The border cell that drains the most of the raster."""
    area = flow.accumulate()
    exits = [cell for cell in range(len(area)) if flow.receiver[cell] == OUTFLOW]
    return max(exits, key=lambda cell: (area[cell], -cell))
