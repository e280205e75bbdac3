"""What is true of every terrain: properties that hypothesis tries to refute."""

from __future__ import annotations

from types import ModuleType

from hypothesis import given
from hypothesis import strategies as st
from weppdemo.terrain import topaz, wbt
from weppdemo.terrain.flow import OUTFLOW, FlowField, upstream_of
from weppdemo.terrain.grid import Grid, format_ascii, parse_ascii
from weppdemo.terrain.network import assign_cells, build_hillslopes, extract_channels


@st.composite
def terrains(draw: st.DrawFn) -> Grid:
    """Any raster of heights."""
    rows, cols = draw(st.integers(3, 9)), draw(st.integers(3, 9))
    heights = st.integers(0, 400).map(lambda height: height / 4)
    return Grid(rows, cols, 30.0, draw(st.lists(heights, min_size=rows * cols, max_size=rows * cols)))


@given(terrains(), st.sampled_from([topaz, wbt]))
def all_water_leaves_the_raster_over_its_border(grid: Grid, method: ModuleType) -> None:
    """Every path ends outside, and all cells are counted there."""
    flow: FlowField = method.flow_field(grid)
    position = {cell: place for place, cell in enumerate(flow.order)}
    assert sorted(flow.order) == list(range(len(grid.values)))
    for cell, target in enumerate(flow.receiver):
        # Upstream first: this makes a cycle impossible, so every path ends at an exit.
        assert target == OUTFLOW or position[cell] < position[target]
        assert target != OUTFLOW or grid.is_edge(cell)
    area = flow.accumulate()
    exits = [area[cell] for cell, target in enumerate(flow.receiver) if target == OUTFLOW]
    assert sum(exits) == len(grid.values)


@given(terrains(), st.sampled_from([topaz, wbt]))
def channels_and_hillslopes_share_out_the_watershed(grid: Grid, method: ModuleType) -> None:
    """Each cell that drains to the outlet belongs to one of them."""
    flow: FlowField = method.flow_field(grid)
    outlet: int = method.find_outlet(grid, flow)
    channels = extract_channels(flow, outlet, 1 + flow.accumulate()[outlet] // 3)
    owner = assign_cells(flow, outlet, channels)
    hillslopes = build_hillslopes(grid, flow, owner, channels)
    cells = [cell for channel in channels for cell in channel.cells]
    cells += [cell for hillslope in hillslopes for cell in hillslope.cells]
    inside = upstream_of(flow, outlet)
    assert sorted(cells) == [cell for cell, within in enumerate(inside) if within]


@given(terrains())
def a_grid_survives_its_file(grid: Grid) -> None:
    """What is written is read."""
    assert parse_ascii(format_ascii(grid)) == grid
