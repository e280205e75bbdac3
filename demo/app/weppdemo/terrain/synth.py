"""Terrain out of numbers: what the app uses in place of a national elevation service."""

from __future__ import annotations

import math

from weppdemo.terrain.grid import Grid


def lattice_noise(seed: int, row: int, col: int) -> float:
    """A number in [0, 1) that depends on nothing but its arguments."""
    mixed = (row * 374_761_393 + col * 668_265_263 + seed * 1_442_695_041) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 13)) * 1_274_126_177) & 0xFFFFFFFF
    return (mixed ^ (mixed >> 16)) / 2**32


def smooth_noise(seed: int, y: float, x: float) -> float:
    """Noise that is continuous in `x` and `y`: bilinear between the lattice points."""
    row, col = math.floor(y), math.floor(x)
    fy, fx = y - row, x - col
    north = lattice_noise(seed, row, col) * (1 - fx) + lattice_noise(seed, row, col + 1) * fx
    south = lattice_noise(seed, row + 1, col) * (1 - fx) + lattice_noise(seed, row + 1, col + 1) * fx
    return north * (1 - fy) + south * fy


def synthesise(rows: int, cols: int, cellsize: float, relief: float, seed: int) -> Grid:
    """A valley that drains south, with side ridges and some roughness; `relief` is in metres."""
    values: list[float] = []
    for row in range(rows):
        down = row / (rows - 1)
        for col in range(cols):
            across = abs(2.0 * col / (cols - 1) - 1.0)
            bend = 0.12 * math.sin(3.0 * math.pi * down + seed)
            valley = (across + bend) ** 2
            ridges = 0.10 * math.sin(8.0 * math.pi * down) * across
            rough = 0.06 * smooth_noise(seed, row / 4.0, col / 4.0)
            values.append(relief * (0.55 * (1.0 - down) + 0.45 * valley + ridges + rough))
    return Grid(rows, cols, cellsize, values, xll=500_000.0, yll=5_170_000.0)
