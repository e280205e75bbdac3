"""From a flow field to channels, and from channels to the hillslopes that feed them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from weppdemo.errors import UserError
from weppdemo.terrain.flow import OUTFLOW, FlowField, upstream_of
from weppdemo.terrain.grid import Grid


@dataclass
class Channel:
    """A reach of stream between two junctions; cells run downstream."""

    id: int
    cells: list[int]
    downstream: int | None = None
    order: int = 1


@dataclass
class Hillslope:
    """The land that drains into one channel from one side. Lengths in metres, area in square metres."""

    id: int
    channel: int
    area: float
    length: float
    slope: float
    aspect: float
    elevation: float
    cells: list[int] = field(default_factory=list)

    def as_row(self) -> dict[str, Any]:
        """Everything but the cells, for JSON and CSV."""
        row = asdict(self)
        del row["cells"]
        return row


def extract_channels(flow: FlowField, outlet: int, csa_cells: int) -> list[Channel]:
    """Reaches whose upstream area is at least `csa_cells`, numbered from the outlet upwards."""
    area = flow.accumulate()
    inside = upstream_of(flow, outlet)
    is_channel = [inside[cell] and area[cell] >= csa_cells for cell in range(len(area))]
    if not is_channel[outlet]:
        raise UserError(f"only {area[outlet]} cells drain through the outlet: choose a smaller channel area")
    feeders: dict[int, list[int]] = {}
    for cell, target in enumerate(flow.receiver):
        if is_channel[cell] and target != OUTFLOW and is_channel[target]:
            feeders.setdefault(target, []).append(cell)
    channels: list[Channel] = []
    pending: list[tuple[int, int | None]] = [(outlet, None)]
    while pending:
        cell, downstream = pending.pop()
        reach = [cell]
        while len(feeders.get(reach[-1], [])) == 1:
            reach.append(feeders[reach[-1]][0])
        number = len(channels) + 1
        channels.append(Channel(number, list(reversed(reach)), downstream))
        pending.extend((feeder, number) for feeder in sorted(feeders.get(reach[-1], []), reverse=True))
    return channels


def assign_cells(flow: FlowField, outlet: int, channels: list[Channel]) -> dict[int, int]:
    """The channel that each cell of the watershed drains into."""
    owner = {cell: channel.id for channel in channels for cell in channel.cells}
    inside = upstream_of(flow, outlet)
    for cell in reversed(flow.order):
        if inside[cell] and cell not in owner:
            owner[cell] = owner[flow.receiver[cell]]
    return owner


def build_hillslopes(grid: Grid, flow: FlowField, owner: dict[int, int], channels: list[Channel]) -> list[Hillslope]:
    """One hillslope per channel and side; a side without cells gives none."""
    groups: dict[tuple[int, int], list[int]] = {}
    by_id = {channel.id: channel for channel in channels}
    for cell in sorted(owner):
        channel = by_id[owner[cell]]
        if cell in channel.cells:
            continue
        groups.setdefault((channel.id, _side(grid, channel, cell)), []).append(cell)
    hillslopes: list[Hillslope] = []
    for (channel_id, side), cells in sorted(groups.items()):
        hillslopes.append(_summarise(grid, flow, channel_id * 10 + side, channel_id, cells))
    return hillslopes


def _side(grid: Grid, channel: Channel, cell: int) -> int:
    """2 for the left bank, 3 for the right, as TOPAZ numbers them."""
    head, foot = grid.centre(channel.cells[0]), grid.centre(channel.cells[-1])
    here = grid.centre(cell)
    cross = (foot[0] - head[0]) * (here[1] - head[1]) - (foot[1] - head[1]) * (here[0] - head[0])
    return 2 if cross >= 0.0 else 3


def _summarise(grid: Grid, flow: FlowField, ident: int, channel: int, cells: list[int]) -> Hillslope:
    cell_area = grid.cellsize**2
    slopes: list[float] = []
    east = north = 0.0
    for cell in cells:
        target = flow.receiver[cell]
        (x0, y0), (x1, y1) = grid.centre(cell), grid.centre(target)
        run = math.hypot(x1 - x0, y1 - y0)
        slopes.append(max(0.001, (grid.values[cell] - grid.values[target]) / run))
        east += x1 - x0
        north += y1 - y0
    area = len(cells) * cell_area
    return Hillslope(
        id=ident,
        channel=channel,
        area=area,
        length=max(grid.cellsize, math.sqrt(area / 2.0)),
        slope=sum(slopes) / len(slopes),
        aspect=math.degrees(math.atan2(east, north)) % 360.0,
        elevation=sum(grid.values[cell] for cell in cells) / len(cells),
        cells=cells,
    )
