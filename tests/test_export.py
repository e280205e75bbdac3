"""`playtrace export` beside coverage.py on the same data; `make parity` does it for large packages."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.export_parity import __main__ as parity
from tests.export_parity import accepted, cases, compare, pages
from tests.oracle import surroundings
from tests.source_parity import accepted as listed
from tests.source_parity import places

PROGRAM = surroundings.program()
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
ORACLE = places.Oracle(VERSION, "7.11", f"CPython {VERSION}, coverage.py", Path(sys.executable), Path(json.__file__))
#: What no package has in one place: nested and repeated definitions, odd line ends, names that need escaping.
ODD = '''\
"""A module."""
import sys
class Outer:
    """Its docstring."""
    x = 1
    def method(self):
        def inner(): return 1
        class Local:
            def deep(self):
                return (1,
                        2)
        return inner, Local
    class Inner:
        def method(self): return "<&>\\"'"
    if sys.argv:
        def method2(self):
            ...
    else:
        def method2(self):
            return 2
def twice(): pass
def twice():
    return [
        1,
        # a comment
        2,
    ]
def empty(): ...
if sys.version_info < (3,):  # pragma: no cover
    x = 1
    y = 2
\x0c
async def after_form_feed():
    async with x as y:
        return "\u2028é\x85"
'''


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of odd files, and of a real package."""
    home = tmp_path_factory.mktemp("project")
    for name in ("src/odd.py", "src/a1/odd.py", "src/a10/odd.py", "src/a2/öd d#%.py", "top.py"):
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{ODD}name = {name!r}\n", encoding="utf-8")
    for name, text in {"src/__init__.py": "", "src/comment.py": "# nothing\n", "src/broken.py": "def (:\n"}.items():
        (home / name).write_text(text, encoding="utf-8")
    shutil.copytree(Path(json.__file__).parent, home / "json", ignore=shutil.ignore_patterns("__pycache__"))
    return home


def test_every_report_is_coverage_pys(tree: Path, tmp_path: Path) -> None:
    tally = compare.measure(PROGRAM, "project", ORACLE, tree, places.files(tree), tmp_path)
    assert tally.differences == []
    assert tally.reports == len(cases.CASES)
    assert tally.statements > 600


def data_of(tree: Path, tmp_path: Path, kind: str = "lines") -> Path:
    """A data file about the odd files that can be parsed."""
    data = tmp_path / f"{kind}.coverage"
    files = [file for file in places.files(tree / "src") if file.name != "broken.py"]
    compare.make_data(ORACLE, data, files, kind)
    return data


def export(tree: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run it."""
    rules = ["--source", str(tree), "--python-version", VERSION, "--no-cache"]
    command = [str(PROGRAM), "export", *rules, *map(str, arguments)]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


def test_branches_are_reported_by_their_lines(tree: Path, tmp_path: Path) -> None:
    arcs = export(tree, data_of(tree, tmp_path, "arcs"), "-m")
    assert (arcs.returncode, "holds branches; its lines are reported" in arcs.stderr) == (0, True)
    assert arcs.stdout == export(tree, data_of(tree, tmp_path), "-m").stdout


def test_a_relative_source_names_files_in_xml(tree: Path, tmp_path: Path) -> None:
    data = data_of(tree, tmp_path)
    for text in ("[run]\nsource = src\n", "[run]\nsource =\n    src/a1\n    src\n    json\n"):
        case = cases.Case("xml", "xml", "xml", (), text, cases.xml_text)
        [their] = compare.by_coverage(ORACLE, tree, [case], data, tmp_path / "theirs")
        our = compare.by_playtrace(PROGRAM, ORACLE, tree, case, data, tmp_path / "ours")
        if "a1" not in text:
            assert our == their
        # With nested sources, coverage.py's names depend on the order of a set.
        assert sorted(source_lines(our)) == sorted(source_lines(their))


def source_lines(text: str) -> list[str]:
    """The directories that a report names."""
    return [line for line in text.splitlines() if "<source>" in line]


def test_remapped_paths(tree: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    names = ["/build/elsewhere/src/odd.py", str(tree / "src" / "a1" / "odd.py")]
    make = "import coverage, sys; d = coverage.CoverageData(sys.argv[1]); "
    make += "d.add_lines({name: range(1, 9) for name in sys.argv[2:]}); d.write()"
    subprocess.run([sys.executable, "-c", make, data, *names], check=True)
    config = "[paths]\nsource =\n    src\n    /build/elsewhere/src\n"
    case = cases.Case("text", "report", "text", ("-m",), config)
    [their] = compare.by_coverage(ORACLE, tree, [case], data, tmp_path / "theirs")
    assert "src/odd.py" in their
    assert compare.by_playtrace(PROGRAM, ORACLE, tree, case, data, tmp_path / "ours") == their


def test_relative_names(tree: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    make = "import coverage, sys; d = coverage.CoverageData(sys.argv[1]); "
    make += "d.add_lines({name: range(1, 9) for name in sys.argv[2:]}); d.write()"
    subprocess.run([sys.executable, "-c", make, data, "src/odd.py", "top.py", "src/a1/odd.py"], check=True)
    for source in ("", "source = src\n"):
        config = f"[run]\nrelative_files = true\n{source}[report]\nomit = top.*\n"
        relative = [
            cases.Case("text", "report", "text", ("-m",), config),
            cases.Case("xml", "xml", "xml", (), config, cases.xml_text),
            cases.Case("json", "json", "json", (), config, cases.json_text),
        ]
        wholes = compare.by_coverage(ORACLE, tree, relative, data, tmp_path / "theirs")
        for case, their in zip(relative, wholes, strict=True):
            our = compare.by_playtrace(PROGRAM, ORACLE, tree, case, data, tmp_path / "ours")
            assert compare.differences(their, our) == [], case.name


def test_a_file_outside_the_root(tree: Path, tmp_path: Path) -> None:
    before, after = tree.parent / "aaa" / "outside.py", tree.parent / "zzz" / "öutside.py"
    before.parent.mkdir()
    after.parent.mkdir()
    for number, files in enumerate(([before, tree / "top.py"], [tree / "top.py", after])):
        files[number].write_text("def f():\n    return 1\n", encoding="utf-8")
        data = tmp_path / f"data-{number}"
        compare.make_data(ORACLE, data, files)
        some = [case for case in cases.CASES if case.name in ("text", "json", "xml", "lcov", "html")]
        for case, their in zip(some, compare.by_coverage(ORACLE, tree, some, data, tmp_path / "theirs"), strict=True):
            our = compare.by_playtrace(PROGRAM, ORACLE, tree, case, data, tmp_path / "ours")
            assert compare.differences(their, our) == [], case.name


def test_fail_under(tree: Path, tmp_path: Path) -> None:
    data = data_of(tree, tmp_path)
    some = "--contexts=second:3"
    total = float(export(tree, data, some, "--format", "total", "--precision", 4).stdout)
    assert 0 < total < 99
    assert export(tree, data, some, "-q", "--precision", 2, "--fail-under", f"{total - 0.1:.4f}").returncode == 0
    for form in ("text", "json", "xml", "lcov", "html"):
        out = tmp_path / f"{form}.out"
        more = ["--precision", 2, "--fail-under", f"{total + 0.1:.4f}", "--format", form, "-o", out]
        failed = export(tree, data, some, *more)
        assert (failed.returncode, "PT-EXPORT-005" in failed.stderr) == (1, True)
        assert out.exists()
    assert export(tree, data, "--fail-under", 101).returncode == 2


def test_sources_that_can_t_be_reported(tree: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    compare.make_data(ORACLE, data, [tree / "src" / "broken.py", tree / "src" / "odd.py"])
    broken = export(tree, data)
    assert (broken.returncode, "PT-EXPORT-003" in broken.stderr, broken.stdout) == (4, True, "")
    ignored = export(tree, data, "-i")
    assert (ignored.returncode, "left out: not Python: src" in ignored.stderr.replace(f"{tree}/", "")) == (0, True)
    assert "broken" not in ignored.stdout
    (tree / "src" / "gone.py").write_text("x = 1\n", encoding="utf-8")
    data.unlink()
    compare.make_data(ORACLE, data, [tree / "src" / "gone.py", tree / "src" / "odd.py"])
    (tree / "src" / "gone.py").unlink()
    gone = export(tree, data)
    assert (gone.returncode, "PT-EXPORT-002" in gone.stderr) == (4, True)
    assert export(tree, data, "-i").returncode == 0
    assert "PT-EXPORT-001" in export(tree, data, "--include", "*/nothing.py").stderr


def test_a_directory_of_somebody_else_is_not_replaced(tree: Path, tmp_path: Path) -> None:
    data = data_of(tree, tmp_path)
    place = tmp_path / "pages"
    place.mkdir()
    assert export(tree, data, "--format", "html", "-o", place).returncode == 0
    assert (place / "function_index.html").is_file()
    assert export(tree, data, "--format", "html", "-o", place).returncode == 0
    (place / "index.html").write_text("a site", encoding="utf-8")
    kept = export(tree, data, "--format", "html", "-o", place)
    assert (kept.returncode, "PT-EXPORT-007" in kept.stderr) == (4, True)
    assert (place / "index.html").read_text(encoding="utf-8") == "a site"


def test_compact_json_says_the_same(tree: Path, tmp_path: Path) -> None:
    data = data_of(tree, tmp_path)
    both = []
    for more in (["--compact"], []):
        out = tmp_path / "out.json"
        done = export(tree, data, "--format", "json", "--show-contexts", *more, "-o", out)
        assert done.returncode == 0, done.stderr
        both.append(json.loads(out.read_text(encoding="utf-8")))
    compact, full = both
    assert list(compact["files"]) == list(full["files"])
    assert compact["totals"]["percent"] == full["totals"]["percent_covered"]
    for name, ours in compact["files"].items():
        theirs = full["files"][name]
        for mine, their in (("missing", "missing_lines"), ("excluded", "excluded_lines")):
            assert lines(ours[mine]) == theirs[their]
        assert set(lines(ours["executed"])) <= set(theirs["executed_lines"])
        assert len(lines(ours["executed"])) == theirs["summary"]["covered_lines"]
        contexts: dict[str, list[str]] = {}
        for at, ranges in sorted(ours["contexts"].items(), key=lambda item: int(item[0])):
            for line in lines(ranges):
                contexts.setdefault(str(line), []).append(compact["contexts"][int(at)])
        assert contexts == theirs["contexts"]
        for region in ours["functions"]:
            their_region = theirs["functions"][region["name"]]
            # Of two functions with one name, coverage.py 7.11 keeps the second.
            if region["name"] != "twice" and not region["name"].endswith("method2"):
                assert region["missing"] == their_region["summary"]["missing_lines"]


def lines(ranges: list[list[int]]) -> list[int]:
    """The lines of ranges."""
    return [line for first, last in ranges for line in range(first, last + 1)]


def test_a_difference_is_noticed(tmp_path: Path) -> None:
    assert compare.differences("a\nb\n", "a\nc\n") == [" line 2: theirs 'b', ours 'c'"]
    assert compare.differences("a\nb\n", "a\n") == [": 2 lines, ours 1"]
    assert compare.differences({"x": [1, 2]}, {"x": [1, 3]}) == ["/x[1]: theirs 2, ours 3"]
    assert compare.differences({"x": 1}, {"y": 1}) == [": only theirs ['x'], only ours ['y']"]
    assert cases.json_contexts('{"contexts": {"1": ["b", "a"]}}') == {"contexts": {"1": ["a", "b"]}}
    page = '<p class="mis show_mis"><span class="n"><a id="t7" href="#t7">7</a></span><span class="t">x</span>'
    page += '<span class="r"><label for="ctxs7" class="ctx">2 ctx</label></span><span class="ctxs">10</span></p>'
    assert list(pages.their_lines(page)) == [(7, "missing", "2 ctx")]
    ours = '<p id="L7" class="missing">x<i data-contexts="1 3">2 ctx</i></p><ol class="contexts">'
    ours += "<li>a</li><li>b</li><li>c</li>"
    assert list(pages.our_lines(ours)) == [(7, "missing", "2 ctx")]
    assert list(pages.our_lines('<p id="L8" class="executed more">y</p>')) == [(8, "executed more", "")]


def test_accepted_differences_are_few_and_of_what_is_compared() -> None:
    results = json.loads(parity.FILE.read_text(encoding="utf-8"))
    statements = sum(row["value"] for row in results["rows"] if row["id"].startswith("statements, "))
    entries = list(listed.read(accepted.FILE))
    assert len(entries) * 100_000 <= listed.LIMIT * statements
    for entry in entries:
        # Others would never be applied, and never be stale.
        assert entry.package.removesuffix("-smaller") in parity.PACKAGES
        assert entry.python in places.VERSIONS
        assert entry.what in {case.name for case in cases.CASES if case.format == "html"}


@pytest.mark.parametrize(
    ("line", "found"), [(None, "odd, html: /page of odd.py: "), (5, None), (6, "odd odd.py:6 on ")]
)
def test_an_accepted_difference_is_one_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: int | None, found: str | None
) -> None:
    (tmp_path / "project").mkdir()
    file = tmp_path / "project" / "odd.py"
    # coverage.py's page has no line for the backslash.
    file.write_text("x = (1\n    + 2  # two\n    \\\n    )\ny = x\n", encoding="utf-8")
    entry = f'[[difference]]\npackage = "odd"\nfile = "odd.py"\nline = {line}\npython = "{VERSION}"\nwhat = "html"\n'
    known = tmp_path / "accepted.toml"
    known.write_text(f'{entry}mechanism = "a backslash and nothing else"\n' if line else "", encoding="utf-8")
    monkeypatch.setattr(accepted, "FILE", known)
    html = [case for case in cases.CASES if case.name == "html"]
    tally = compare.measure(PROGRAM, "odd", ORACLE, file.parent, [file], tmp_path, html)
    starts = [text[: len(found or text)] for text in tally.differences]
    assert (found in starts) if found else (starts == [])
