"""Peak discharge at the outlet: a program of its own, as the Fortran one that it stands for.

    python -m weppdemo.tools.peak_flow INPUT.json OUTPUT.json

Input: `area` (m²), `length` (m), `slope` (m/m), `runoff` (mm of the largest day), `duration` (h).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def time_of_concentration(length: float, slope: float) -> float:
    """Hours for water to travel the watershed's length, by Kirpich."""
    return float(0.0195 * length**0.77 * slope**-0.385 / 60.0)


def unit_hydrograph(peak_time: float, steps: int) -> list[float]:
    """Ordinates of the triangular SCS unit hydrograph, peak 1."""
    base = 2.67 * peak_time
    ordinates: list[float] = []
    for step in range(steps):
        hour = base * step / (steps - 1)
        rising = hour <= peak_time
        ordinates.append(hour / peak_time if rising else max(0.0, (base - hour) / (base - peak_time)))
    return ordinates


def peak_flow(given: dict[str, float]) -> dict[str, float]:
    """Peak discharge (m³/s), its time (h), and the volume (m³)."""
    concentration = time_of_concentration(given["length"], given["slope"])
    peak_time = given["duration"] / 2.0 + 0.6 * concentration
    square_kilometres = given["area"] / 1e6
    peak = 0.208 * square_kilometres * given["runoff"] / peak_time
    shape = unit_hydrograph(peak_time, 25)
    return {
        "peak_m3s": round(peak, 4),
        "time_to_peak_h": round(peak_time, 3),
        "volume_m3": round(given["runoff"] / 1000.0 * given["area"], 2),
        "mean_ordinate": round(sum(shape) / len(shape), 4),
    }


def main(arguments: list[str]) -> int:
    """Read the input file, write the output file; 2 when the arguments are wrong."""
    if len(arguments) != 2:
        print("usage: peak_flow INPUT.json OUTPUT.json", file=sys.stderr)
        return 2
    given = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    result = peak_flow(given)
    Path(arguments[1]).write_text(json.dumps(result), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
