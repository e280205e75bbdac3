"""What each recorded person did: five jobs done in the app, request by request."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from recording_browser import Browser, RecordingError, Upload
from weppdemo.climate import series
from weppdemo.terrain.grid import Grid, format_ascii
from weppdemo.terrain.synth import lattice_noise, synthesise


@dataclass(frozen=True)
class Session:
    """A person's session: the run and configuration, what they did, and what lay in the run before."""

    slug: str
    run_id: str
    config: str
    perform: Callable[[Browser], None]
    before: Callable[[Browser], None] | None = None


# Files that people bring along --------------------------------------------------------------------


def _raster(rows: int, cols: int, cellsize: float, value: Callable[[int, int], float]) -> str:
    values = [value(row, col) for row in range(rows) for col in range(cols)]
    return format_ascii(Grid(rows, cols, cellsize, values, xll=500_000.0, yll=5_170_000.0))


def _burn_map(rows: int, cols: int, cellsize: float, seed: int) -> str:
    """A fire that came from the north-west: high severity there, none in the south-east."""

    def severity(row: int, col: int) -> float:
        distance = (row / rows + col / cols) / 2.0
        return float(max(0, min(3, round(3.4 - 4.6 * distance + lattice_noise(seed, row, col) - 0.5))))

    return _raster(rows, cols, cellsize, severity)


def _daymet_file() -> str:
    lines = ["# daily series for the grid point of the run", "year,month,day,prcp,tmean"]
    for number, (year, month, day) in enumerate(series.dates(2012, 1)):
        rain = max(0.0, lattice_noise(5, year, number) - 0.62) * 48.0
        # Two days on which the gauge was out of order.
        rain = -1.0 if number in (40, 41) else rain
        lines.append(f"{year},{month},{day},{rain:.1f},{8.0 + 12.0 * (1 - abs(month - 7) / 6):.1f}")
    return "\n".join(lines) + "\n"


# Sessions ------------------------------------------------------------------------------------------


def _old_terrain(person: Browser) -> None:
    """The run is years old: its terrain and name were there before the recorded session."""
    terrain = format_ascii(synthesise(30, 28, 30.0, 150.0, 17))
    person.post_form("tasks/upload_dem", {}, Upload("input_upload_dem", "dem", "palouse.asc", terrain))
    person.post_json("tasks/set_name", {"name": "Palouse, the old one"})
    person.uploads.clear()


def legacy_palouse(person: Browser) -> None:
    """Rolling wheat land: the whole way by the oldest methods, then a fork and an archive."""
    person.get("")
    person.post_json("rq/api/fetch_dem_and_build_channels", {"csa": 2.5})
    person.get("elevationquery/", easting=500_300, northing=5_170_300)
    person.get("elevationquery/", easting=500_310, northing=5_170_280)
    person.get("query/dem_stats")
    person.post_json("rq/api/build_subcatchments", {})
    person.get("resources/subcatchments.geojson")
    person.get("report/watershed")
    person.post_form("rq/api/build_landuse", {"landuse_mode": "gridded"})
    person.get("query/landuse")
    person.post_json("rq/api/build_soils", {"mode": "gridded"})
    person.post_json("rq/api/build_climate", {"years": 2, "start_year": 2010, "seed": 7})
    person.get("query/climate")
    person.post_json("rq/api/run_wepp", {"baseflow": False})
    person.get("report/wepp")
    person.get("export/hillslopes.csv")
    person.put_text("tasks/notes", "Base run for the comparison with no-till.\nAsk the county for the 2011 yields.")
    person.post_form("rq/api/fork", {"undisturbify": "true"})
    person.post_json("rq/api/archive", {"comment": "before the meeting"})
    person.get("query/project")
    person.get("export/archives/archive-001.zip")


def us_small_wbt_daymet_rap_wepp(person: Browser) -> None:
    """A small western watershed: priority flood, an uploaded daily series, rangeland cover, English units."""
    person.get("")
    person.get("query/stations", min_elevation=500)
    person.post_json("rq/api/fetch_dem_and_build_channels", {"csa": 2.0, "method": "wbt"})
    person.get("query/watershed")
    person.post_json("rq/api/build_subcatchments", {})
    person.get("resources/channels.geojson")
    person.get("query/cover_classes")
    person.post_form("rq/api/build_landuse", {"landuse_mode": "gridded"})
    person.post_json("rq/api/build_soils", {"mode": "single", "depth_factor": 0.9})
    person.post_form("tasks/upload_cli", {}, Upload("input_upload_cli", "cli", "daymet_2012.csv", _daymet_file()))
    person.get_when_ready("resources/cli_summary.json")
    person.post_json("tasks/set_climate_mode", {"mode": "daymet"})
    person.post_json("rq/api/build_climate", {"years": 1, "start_year": 2012})
    person.get("report/climate")
    person.post_json("rq/api/build_rap_ts", {})
    person.post_json("rq/api/run_wepp", {"baseflow": True, "critical_shear": 14.5})
    person.post_json("tasks/set_units", {"units": "english"})
    person.get("query/units")
    person.get("report/wepp")
    person.get("export/channels.csv")
    person.get("export/climate.csv")


def au_disturbed(person: Browser) -> None:
    """A burned eucalypt catchment: own terrain, own land use, a burn map taken back once, then ash."""
    terrain = format_ascii(synthesise(28, 26, 25.0, 340.0, 29))
    burned = Upload("input_upload_sbs", "sbs", "severity.asc", _burn_map(28, 26, 25.0, 3))
    cover = _raster(28, 26, 25.0, lambda row, col: 142.0 if row < 20 or col < 8 else 71.0)
    ash = _raster(28, 26, 25.0, lambda row, col: 4.0 + 6.0 * lattice_noise(13, row, col))
    transform = "eucalypt,burn_low,shrub\neucalypt,burn_moderate,burn_moderate\n"
    person.get("")
    person.post_form("tasks/upload_dem", {}, Upload("input_upload_dem", "dem", "catchment.asc", terrain))
    person.post_json("rq/api/fetch_dem_and_build_channels", {"csa": 2.0})
    person.post_json("rq/api/build_subcatchments", {})
    person.get("resources/subcatchments.geojson")
    person.post_form("tasks/upload_sbs", {}, burned)
    person.delete("tasks/upload_sbs")
    person.post_form("tasks/upload_sbs", {}, burned)
    person.post_form(
        "tasks/upload_cover_transform",
        {},
        Upload("input_upload_cover_transform", "cover_transform", "regrowth.csv", transform),
    )
    person.post_form(
        "rq/api/build_landuse",
        {"landuse_mode": "upload"},
        Upload("input_upload_landuse", "landuse", "vegetation.asc", cover),
    )
    person.get("query/landuse")
    person.post_json("rq/api/build_soils", {})
    person.post_json("rq/api/build_climate", {"years": 1, "start_year": 2019, "seed": 21})
    person.post_json("rq/api/run_wepp", {"critical_shear": 8})
    person.post_form(
        "rq/api/run_ash",
        {"fire_month": "2", "ini_black_depth": "6.5", "ini_white_depth": "4"},
        Upload("input_upload_ash_load", "ash", "ash_depth.asc", ash),
    )
    person.get("query/ash")
    person.get("report/ash")
    person.get("export/hillslopes.csv")


def eu_heuristic_multiple(person: Browser) -> None:
    """Mediterranean uplands: a moved outlet, weather from three stations, four scenarios side by side."""
    scenarios = [
        {"name": "burned again", "treatment": "burn"},
        {"name": "all shrub", "treatment": "uniform", "cover": "shrub"},
        {"name": "thinned", "treatment": "thinning"},
        {"name": "mulched", "treatment": "mulch"},
    ]
    person.get("")
    person.post_json("tasks/set_name", {"name": "Sierra, several stations"})
    person.post_json("tasks/set_scenario", {"scenario": "before the fire season"})
    person.post_json("tasks/set_climatestation", {"station": "burgos"})
    person.post_json("rq/api/fetch_dem_and_build_channels", {"csa": 2.5})
    person.get("elevationquery/", easting=500_380, northing=5_170_200)
    person.post_json("rq/api/set_outlet", {"easting": 500_390, "northing": 5_170_140})
    person.post_json("rq/api/build_subcatchments", {})
    person.post_form("rq/api/build_landuse", {"landuse_mode": "gridded"})
    person.post_json("rq/api/build_soils", {})
    person.get("query/soils")
    # The button is there before the climate is: the app says no, and the person goes on.
    person.post_json("rq/api/run_wepp", {"baseflow": False}, expect=409)
    person.post_json("rq/api/build_climate", {"years": 1, "start_year": 2015, "seed": 5})
    person.get("query/climate")
    person.post_json("rq/api/run_wepp", {"baseflow": False})
    person.get("report/wepp")
    person.post_form(
        "rq/api/run_omni",
        {"scenarios": json.dumps(scenarios)},
        Upload("scenarios[0][sbs_file]", "omni", "second_fire.asc", _burn_map(26, 26, 30.0, 9)),
    )
    person.get("query/omni")
    person.get("report/omni")


def single_storm(person: Browser) -> None:
    """One design storm; at the end the person mistypes its duration and the job fails."""
    person.get("")
    person.post_json("rq/api/fetch_dem_and_build_channels", {"csa": 1.5})
    person.post_json("rq/api/build_subcatchments", {})
    person.post_form("rq/api/build_landuse", {"landuse_mode": "single", "landuse_single_selection": "crop"})
    person.post_json("rq/api/build_soils", {})
    storm = {"depth": 62, "duration": 4, "peak": 45}
    person.post_json("rq/api/build_climate", {"start_year": 2020, "storm": storm})
    person.get("report/storm")
    person.post_json("rq/api/run_wepp", {})
    person.get("report/wepp")
    person.get("export/hillslopes.csv")
    person.get("export/climate.csv")
    person.post_json("rq/api/build_climate", {"start_year": 2020, "storm": {**storm, "duration": 0}})
    if person.last_job_status != "failed":
        raise RecordingError(f"the impossible storm's job ended as {person.last_job_status!r}")


SESSIONS: tuple[Session, ...] = (
    Session("legacy-palouse", "legacy-palouse-0001", "legacy", legacy_palouse, before=_old_terrain),
    Session(
        "us-small-wbt-daymet-rap-wepp", "small-creek-0042", "us-small-wbt", us_small_wbt_daymet_rap_wepp
    ),
    Session("au-disturbed", "eildon-fire-0007", "au-disturbed", au_disturbed),
    Session("eu-heuristic-multiple", "sierra-0013", "eu-disturbed", eu_heuristic_multiple),
    Session("single-storm", "design-storm-0003", "storm", single_storm),
)
