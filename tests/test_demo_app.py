"""The demo app's own arithmetic and doors: what its profiles stand on."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weppdemo.climate import single_storm
from weppdemo.errors import UnknownRun, UserError
from weppdemo.model import routing
from weppdemo.runid import RunId
from weppdemo.terrain import topaz, wbt
from weppdemo.terrain.flow import OUTFLOW, FlowField, upstream_of
from weppdemo.terrain.grid import Grid, format_ascii, parse_ascii
from weppdemo.terrain.network import assign_cells, build_hillslopes, extract_channels

SANDBOX = "profile;;tmp;;0e0f8e6c-0000-4000-8000-000000000000"


@st.composite
def terrains(draw: st.DrawFn) -> Grid:
    rows, cols = draw(st.integers(3, 9)), draw(st.integers(3, 9))
    heights = st.integers(0, 400).map(lambda height: height / 4)
    return Grid(rows, cols, 30.0, draw(st.lists(heights, min_size=rows * cols, max_size=rows * cols)))


@given(terrains(), st.sampled_from([topaz, wbt]))
def test_all_water_leaves_the_raster_over_its_border(grid: Grid, method: ModuleType) -> None:
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
def test_channels_and_hillslopes_share_out_the_watershed(grid: Grid, method: ModuleType) -> None:
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
def test_a_grid_survives_its_file(grid: Grid) -> None:
    assert parse_ascii(format_ascii(grid)) == grid


def test_a_broken_grid_names_its_line() -> None:
    text = format_ascii(Grid(2, 2, 1.0, [1.0, 2.0, 3.0, 4.0])).replace("3.00", "three")
    with pytest.raises(UserError, match="line 8: 'three' is not a number"):
        parse_ascii(text)


@pytest.mark.parametrize("text", ["", "..", "a/b", "profile;;tmp;;../x", f"{SANDBOX}/..", "A", f"{SANDBOX}\n"])
def test_a_malformed_run_id_is_refused(text: str) -> None:
    with pytest.raises(UnknownRun):
        RunId.parse(text)


def test_a_fork_of_a_sandbox_is_named_like_a_persons_fork() -> None:
    assert RunId.parse("palouse-1").numbered_fork(2).text == "palouse-1-fork-2"
    fork = RunId.parse(SANDBOX).numbered_fork(2)
    assert (fork.kind, fork.text) == ("tmp", f"{SANDBOX}-fork-2")


@pytest.mark.parametrize("storm", [(62.0, 0.0, 45.0), (0.0, 4.0, 45.0), (62.0, 1.0, 45.0)])
def test_an_impossible_storm_is_refused(storm: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="impossible storm"):
        single_storm.check_storm(*storm)


@pytest.mark.parametrize(("sediment", "water", "left"), [(100.0, 10.0, 30.0), (40.0, 10.0, 0.0)])
def test_a_channel_deposits_half_of_what_it_cannot_carry(sediment: float, water: float, left: float) -> None:
    deposit: Callable[[float, float, float], float] = routing.deposition
    assert deposit(sediment, water, 10.0) == pytest.approx(left)
