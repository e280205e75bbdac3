"""Delineation the way WhiteboxTools does it: a priority flood from the borders inwards."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from weppdemo.terrain.flow import OUTFLOW, FlowField, steepest_receiver
from weppdemo.terrain.grid import Grid


@dataclass
class PriorityFlood:
    """The flood's state: which cells the water has reached, over which neighbour, and in what order."""

    grid: Grid
    came_from: dict[int, int] = field(default_factory=dict)
    visited: list[int] = field(default_factory=list)
    spill: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Flood the raster; afterwards every cell knows its spill height and where it spills to."""
        self.spill = list(self.grid.values)
        front: list[tuple[float, int]] = []
        for cell, height in enumerate(self.grid.values):
            if self.grid.is_edge(cell):
                self.came_from[cell] = OUTFLOW
                heapq.heappush(front, (height, cell))
        while front:
            height, cell = heapq.heappop(front)
            self.visited.append(cell)
            for other, _ in self.grid.neighbours(cell):
                if other in self.came_from:
                    continue
                self.came_from[other] = cell
                self.spill[other] = max(self.grid.values[other], height)
                heapq.heappush(front, (self.spill[other], other))

    def breached_cells(self) -> int:
        """How many cells lie below their spill height: the depressions of the terrain."""
        return sum(spill > ground for spill, ground in zip(self.spill, self.grid.values, strict=True))


def flow_field(grid: Grid) -> FlowField:
    """Steepest descent where there is one, else towards where the flood came from."""
    flood = PriorityFlood(grid)
    flood.run()
    receiver = [OUTFLOW] * len(grid.values)
    # Only neighbours that the flood reached earlier may receive water: no cycles.
    rank = {cell: position for position, cell in enumerate(flood.visited)}
    for cell in flood.visited:
        steepest = steepest_receiver(grid, flood.spill, cell)
        earlier = steepest != OUTFLOW and rank[steepest] < rank[cell]
        receiver[cell] = steepest if earlier else flood.came_from[cell]
    return FlowField(receiver, list(reversed(flood.visited)))


def find_outlet(grid: Grid, flow: FlowField) -> int:
    """The lowest cell among the tenth of the exits that drain the most."""
    area = flow.accumulate()
    exits = sorted(
        (cell for cell in range(len(area)) if flow.receiver[cell] == OUTFLOW),
        key=lambda cell: (-area[cell], cell),
    )
    candidates = exits[: max(1, len(exits) // 10)]
    largest = area[candidates[0]]
    return min(candidates, key=lambda cell: (area[cell] < 0.5 * largest, grid.values[cell], cell))


def stream_orders(links: dict[int, list[int]], root: int) -> dict[int, int]:
    """Strahler orders; `links` maps a channel to the channels that flow into it."""
    orders: dict[int, int] = {}

    def visit(link: int) -> int:
        upstream = sorted((visit(child) for child in links.get(link, [])), reverse=True)
        joined = len(upstream) > 1 and upstream[0] == upstream[1]
        orders[link] = (upstream[0] + 1 if joined else upstream[0]) if upstream else 1
        return orders[link]

    visit(root)
    return orders
