"""The demo app's own arithmetic and doors: what its profiles stand on."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest
from weppdemo.climate import single_storm
from weppdemo.errors import UnknownRun, UserError
from weppdemo.model import routing
from weppdemo.runid import RunId
from weppdemo.terrain.grid import Grid, format_ascii, parse_ascii

SANDBOX = "profile;;tmp;;0e0f8e6c-0000-4000-8000-000000000000"


# Hypothesis takes seconds to import, and every process of xdist collects every file: only one runs these.
@pytest.mark.parametrize(
    "name",
    [
        "all_water_leaves_the_raster_over_its_border",
        "channels_and_hillslopes_share_out_the_watershed",
        "a_grid_survives_its_file",
    ],
)
def test_every_terrain(name: str) -> None:
    getattr(importlib.import_module("tests.terrain_properties"), name)()


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
