"""What both delineation methods share: a flow direction per cell, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass

from weppdemo.terrain.grid import Grid

# A cell that drains out of the raster.
OUTFLOW = -1


@dataclass
class FlowField:
    """Where the water of each cell goes, and an order in which every cell comes before its receiver."""

    receiver: list[int]
    order: list[int]

    def accumulate(self) -> list[int]:
        """Cells upstream of each cell, itself included."""
        area = [1] * len(self.receiver)
        for cell in self.order:
            target = self.receiver[cell]
            if target != OUTFLOW:
                area[target] += area[cell]
        return area


def steepest_receiver(grid: Grid, heights: list[float], cell: int) -> int:
    """The neighbour with the steepest descent, or `OUTFLOW` when no neighbour is lower."""
    best, best_slope = OUTFLOW, 0.0
    for other, distance in grid.neighbours(cell):
        slope = (heights[cell] - heights[other]) / distance
        if slope > best_slope:
            best, best_slope = other, slope
    return best


def upstream_of(flow: FlowField, outlet: int) -> list[bool]:
    """Which cells drain through `outlet`."""
    inside = [False] * len(flow.receiver)
    inside[outlet] = True
    for cell in reversed(flow.order):
        target = flow.receiver[cell]
        if target != OUTFLOW and inside[target]:
            inside[cell] = True
    return inside
