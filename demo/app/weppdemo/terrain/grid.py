"""Rasters in memory, and ESRI ASCII grids on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from weppdemo.errors import UserError

# D8 neighbours, clockwise from east: (row step, column step, distance in cells).
NEIGHBOURS: tuple[tuple[int, int, float], ...] = (
    (0, 1, 1.0),
    (1, 1, 2**0.5),
    (1, 0, 1.0),
    (1, -1, 2**0.5),
    (0, -1, 1.0),
    (-1, -1, 2**0.5),
    (-1, 0, 1.0),
    (-1, 1, 2**0.5),
)

_HEADER = ("ncols", "nrows", "xllcorner", "yllcorner", "cellsize", "nodata_value")


@dataclass
class Grid:
    """A raster, row 0 in the north; `cellsize` is in metres."""

    nrows: int
    ncols: int
    cellsize: float
    values: list[float]
    xll: float = 0.0
    yll: float = 0.0
    nodata: float = -9999.0

    def __post_init__(self) -> None:
        """Refuse a list of values that does not fill the raster."""
        if len(self.values) != self.nrows * self.ncols:
            raise UserError(f"the grid has {len(self.values)} values, not {self.nrows} x {self.ncols}")

    def neighbours(self, cell: int) -> Iterator[tuple[int, float]]:
        """The cells around `cell` with their distances in metres, in a fixed order."""
        row, col = divmod(cell, self.ncols)
        for drow, dcol, distance in NEIGHBOURS:
            if 0 <= row + drow < self.nrows and 0 <= col + dcol < self.ncols:
                yield cell + drow * self.ncols + dcol, distance * self.cellsize

    def is_edge(self, cell: int) -> bool:
        """Whether the cell lies on the border of the raster."""
        row, col = divmod(cell, self.ncols)
        return row in (0, self.nrows - 1) or col in (0, self.ncols - 1)

    def centre(self, cell: int) -> tuple[float, float]:
        """Map coordinates of the middle of a cell."""
        row, col = divmod(cell, self.ncols)
        return (
            self.xll + (col + 0.5) * self.cellsize,
            self.yll + (self.nrows - row - 0.5) * self.cellsize,
        )

    def like(self, values: list[float]) -> Grid:
        """A raster of the same shape and place with other values."""
        return Grid(self.nrows, self.ncols, self.cellsize, values, self.xll, self.yll, self.nodata)

    def value_at(self, easting: float, northing: float) -> float | None:
        """The value under a map coordinate; `None` outside the raster."""
        col = int((easting - self.xll) // self.cellsize)
        row = self.nrows - 1 - int((northing - self.yll) // self.cellsize)
        inside = 0 <= row < self.nrows and 0 <= col < self.ncols
        return self.values[row * self.ncols + col] if inside else None


def parse_ascii(text: str) -> Grid:
    """Read an ESRI ASCII grid; raise `UserError` naming the line that is wrong."""
    header: dict[str, float] = {}
    lines = text.splitlines()
    for number, line in enumerate(lines[: len(_HEADER)], start=1):
        key, _, value = line.strip().partition(" ")
        if key.lower() not in _HEADER:
            raise UserError(f"line {number}: expected one of {', '.join(_HEADER)}, found {key!r}")
        header[key.lower()] = _number(value, number)
    values: list[float] = []
    for number, line in enumerate(lines[len(_HEADER) :], start=len(_HEADER) + 1):
        values.extend(_number(word, number) for word in line.split())
    return Grid(
        nrows=int(header["nrows"]),
        ncols=int(header["ncols"]),
        cellsize=header["cellsize"],
        values=values,
        xll=header["xllcorner"],
        yll=header["yllcorner"],
        nodata=header["nodata_value"],
    )


def _number(word: str, line: int) -> float:
    try:
        return float(word)
    except ValueError:
        raise UserError(f"line {line}: {word.strip()!r} is not a number") from None


def format_ascii(grid: Grid) -> str:
    """The grid as an ESRI ASCII grid, values to a centimetre."""
    header = [
        f"ncols {grid.ncols}",
        f"nrows {grid.nrows}",
        f"xllcorner {grid.xll:g}",
        f"yllcorner {grid.yll:g}",
        f"cellsize {grid.cellsize:g}",
        f"NODATA_value {grid.nodata:g}",
    ]
    starts = range(0, grid.nrows * grid.ncols, grid.ncols)
    rows = [" ".join(f"{value:.2f}" for value in grid.values[start : start + grid.ncols]) for start in starts]
    return "\n".join([*header, *rows]) + "\n"


def read_ascii(path: Path) -> Grid:
    """Read a grid from a file."""
    return parse_ascii(path.read_text(encoding="utf-8"))


def write_ascii(path: Path, grid: Grid) -> None:
    """Write a grid to a file."""
    path.write_text(format_ascii(grid), encoding="utf-8")
