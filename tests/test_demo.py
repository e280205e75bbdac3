"""`make demo`'s acceptance: what its driver prints, writes and ends with."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run
from tests.oracle import surroundings
from tests.oracle.run import read_contexts
from tests.support import COLD_ONLY_FILE, Ended, Verdict, coverage, only_cold_differs, profile_only, run

EXPECTED: dict[str, dict[str, Any]] = tomllib.loads(COLD_ONLY_FILE.read_text(encoding="utf-8"))["profiles"]
COLUMNS = ["profile", "verdict", "requests", "jobs", "files", "lines", "symbols", "only-here symbols"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ended, Path]:
    """The demo's driver, run as `make demo` does but with all profiles at once, and its `out`."""
    out = tmp_path_factory.mktemp("demo") / "out"
    argv: list[str | Path] = [sys.executable, surroundings.DEMO / "run_demo.py", "--out", out, "--jobs", "5"]
    argv += ["--redis-server", surroundings.redis_server(), "--playtrace", surroundings.program()]
    return run(argv, {**os.environ, "NO_COLOR": "1"}, timeout=200).expect(0), out


def rows(said: str) -> dict[str, list[str]]:
    """The cells of the table by profile: the last table that the demo prints."""
    found = [re.split(r"\s{2,}|\s*[│|]\s*", line.strip(" │|")) for line in said.splitlines()]
    return {cells[0]: cells for cells in found if cells[0] in EXPECTED and len(cells) == len(COLUMNS)}


def test_the_table_has_every_profile_with_its_verdict(demo: tuple[Ended, Path]) -> None:
    ended, out = demo
    head = [line for line in ended.out.splitlines() if all(column in line.lower() for column in COLUMNS)]
    assert head, f"no table with the columns {COLUMNS}:\n{ended.out}"
    table = rows(ended.out)
    assert sorted(table) == sorted(EXPECTED)
    for slug, cells in table.items():
        report = json.loads((out / "reports" / f"{slug}.json").read_text(encoding="utf-8"))
        verdict = Verdict.read(out / "coverage" / f"{slug}.verdict.json")
        assert cells[1] == EXPECTED[slug]["verdict"] == verdict.status == report["status"]
        assert cells[2:6] == [
            str(verdict.document["requests"]),
            str(verdict.document["jobs"]),
            str(report["summary"]["file_count"]),
            str(report["summary"]["lines_covered"]),
        ], slug


def test_totals_gaps_and_paths_are_told(demo: tuple[Ended, Path]) -> None:
    ended, out = demo
    matrix = json.loads((out / "matrix.json").read_text(encoding="utf-8"))
    gaps = len(matrix["gaps"]["symbols"] if isinstance(matrix["gaps"], dict) else matrix["gaps"])
    assert gaps > 10, "the demo has code that no profile reaches"
    assert f"symbols that no profile reaches: {gaps}" in ended.out
    for path in ("coverage/", "reports/", "matrix.json", "matrix.md"):
        assert path in ended.out


def test_what_it_names_is_there(demo: tuple[Ended, Path]) -> None:
    _, out = demo
    for slug in EXPECTED:
        assert (out / "coverage" / f"{slug}.coverage").is_file()
        assert (out / "reports" / slug / "index.html").is_file()
        assert not list((out / "coverage").glob(f"{slug}.coverage.*")), "shards go after a safe merge"
    for name in ("matrix.json", "matrix.md", "coverage-symbols.json", "stack.json"):
        assert (out / name).is_file()


def test_all_at_once_give_the_same_lines_as_each_alone(
    demo: tuple[Ended, Path], cold: dict[str, Run], cold_only: list[tuple[str, range]]
) -> None:
    _, out = demo
    for slug in EXPECTED:
        together = read_contexts(out / "coverage" / f"{slug}.coverage")
        only_cold_differs(profile_only(together), profile_only(cold[slug].contexts), cold_only)
        artifact = out / "artifacts" / f"{slug}.coverage"
        assert artifact.read_bytes() == (out / "coverage" / f"{slug}.coverage").read_bytes()


def test_the_maps_tell_profiles_apart(demo: tuple[Ended, Path]) -> None:
    _, out = demo
    matrix = json.loads((out / "matrix.json").read_text(encoding="utf-8"))
    said = json.dumps(matrix)
    # Known from the sessions: who uses what, and that nobody looks at the admin's pages.
    profiles_of = {
        name: {slug for slug in EXPECTED if name in covered(out, slug)}
        for name in (
            "weppdemo.rq.ash_jobs.run_ash",
            "weppdemo.rq.omni_jobs.run_omni",
            "weppdemo.rq.cover_jobs.build_rap_ts",
            "weppdemo.rq.terrain_jobs.fetch_dem",
        )
    }
    assert profiles_of == {
        "weppdemo.rq.ash_jobs.run_ash": {"au-disturbed"},
        "weppdemo.rq.omni_jobs.run_omni": {"eu-heuristic-multiple"},
        "weppdemo.rq.cover_jobs.build_rap_ts": {"us-small-wbt-daymet-rap-wepp"},
        "weppdemo.rq.terrain_jobs.fetch_dem": set(EXPECTED),
    }
    gaps = json.dumps(matrix["gaps"])
    assert "weppdemo.admin." in gaps
    assert "weppdemo.export.kml." in gaps
    assert "weppdemo.rq.ash_jobs.run_ash" not in gaps
    assert "weppdemo.rq.ash_jobs.run_ash" in said


def test_routes_reach_symbols_and_a_failed_job_alone_reaches_some(demo: tuple[Ended, Path]) -> None:
    _, out = demo
    matrix = json.loads((out / "matrix.json").read_text(encoding="utf-8"))
    assert matrix["steps_not_traced"] == []
    fetch = "weppdemo.routes.watershed_api.fetch_dem_and_build_channels"
    routes = {name: of for name, of in matrix["routes"].items() if fetch in of["symbols"]}
    # The view is entered through its route and no other one, and what its job does is the job's.
    assert all(name.endswith("/rq/api/fetch_dem_and_build_channels") for name in routes), sorted(routes)
    route = routes["POST /weppcloud/runs/*/legacy/rq/api/fetch_dem_and_build_channels"]
    assert route["profiles"] == ["legacy-palouse"]
    assert "weppdemo.rq.terrain_jobs.fetch_dem" not in route["symbols"]
    kinds = {matrix["steps"][key]["kind"] for key in matrix["symbols"]["weppdemo.rq.terrain_jobs.fetch_dem"]["steps"]}
    assert kinds == {"job"}
    # The web page takes any storm; the second one's job refuses it, and nobody else asks for an impossible one.
    storm = "weppdemo.climate.single_storm"
    assert [name for name, of in matrix["symbols"].items() if of.get("only_failed_steps")] == [f"{storm}.impossible"]
    assert len(matrix["symbols"][f"{storm}.check_storm"]["steps"]) == 2
    steps = [matrix["steps"][key] for key in matrix["symbols"][f"{storm}.impossible"]["steps"]]
    assert [(step["profile"], step["kind"], step["outcome"]) for step in steps] == [("single-storm", "job", "failed")]
    assert f"  - `{storm}.impossible`\n" in (out / "matrix.md").read_text(encoding="utf-8")
    for slug in EXPECTED:
        verdict = Verdict.read(out / "coverage" / f"{slug}.verdict.json")
        steps_file = json.loads((out / "coverage" / f"{slug}.steps.json").read_text(encoding="utf-8"))
        assert (verdict.document["granularity"], steps_file["run"]) == ("steps", verdict.document["run"])
        artifact = out / "artifacts" / f"{slug}.steps.json"
        assert json.loads(artifact.read_text(encoding="utf-8")) == steps_file


def covered(out: Path, slug: str) -> set[str]:
    """The symbols that a profile's report calls covered."""
    report = json.loads((out / "reports" / f"{slug}.json").read_text(encoding="utf-8"))
    return {symbol["name"] for symbol in report["symbols"] if symbol["covered"]}


def test_coverage_reports_on_the_demos_data(demo: tuple[Ended, Path]) -> None:
    _, out = demo
    data = out / "coverage" / "legacy-palouse.coverage"
    report = coverage("report", "--data-file", data, cwd=surroundings.ROOT).expect(0)
    percent = re.search(r"^TOTAL.*?(\d+)%$", report.out, re.MULTILINE)
    assert percent is not None, report.out
    assert int(percent[1]) > 50, "the paths in the data are not those of the sources"
    # A page for each file takes a while: a part of the app will do.
    part = ("--include", "demo/app/weppdemo/climate/*")
    html = coverage("html", "--data-file", data, "-d", out / "htmlcov", *part, cwd=surroundings.ROOT).expect(0)
    assert (out / "htmlcov" / "index.html").is_file(), html.out


def test_gaps_are_not_certain_while_a_profile_failed(demo: tuple[Ended, Path]) -> None:
    _, out = demo
    matrix = json.loads((out / "matrix.json").read_text(encoding="utf-8"))
    assert '"certain": false' in json.dumps(matrix), "single-storm failed: what it did not reach it might have"
    assert "single-storm" in (out / "matrix.md").read_text(encoding="utf-8")
