"""What is published: both wheels in clean environments, crates, shell completions, manual pages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.oracle import surroundings
from tests.support import Ended, run

ROOT = surroundings.REPOSITORY
# Nothing of this environment: neither its programs nor its modules.
CLEAN = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
SHELLS = {"bash": "bash", "zsh": "zsh", "fish": "fish"}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The wheel of the program, built now, and the agent's, built by `make setup`."""
    out = tmp_path_factory.mktemp("wheels")
    argv = [sys.executable, "-m", "maturin", "build", "--release", "--locked", "--quiet", "--out", str(out)]
    subprocess.run(argv, cwd=ROOT / "crates" / "playtrace", check=True, timeout=230)
    (agent,) = (ROOT / "dist").glob("playtrace_agent-*.whl")
    return [*out.glob("playtrace-*.whl"), agent]


@pytest.fixture(scope="module", params=["pip", "uv"])
def installed(request: pytest.FixtureRequest, wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs' directory of a new environment with both packages, installed without an index."""
    home = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    if request.param == "pip":
        install: list[str | Path] = [sys.executable, "-m", "pip", "--python", home / "bin" / "python", "install"]
        install += ["--quiet", "--no-index"]
    else:
        uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--no-index", "--no-cache"]
        install = [*uv, "--python", str(home / "bin" / "python")]
    subprocess.run([*install, *wheels], check=True, cwd=home, env={**CLEAN, "HOME": str(home)})
    return home / "bin"


def clean(argv: Sequence[str | Path], cwd: Path, **more: str) -> Ended:
    """Run something with nothing of this environment around it."""
    return run(argv, {**CLEAN, **more}, cwd=cwd)


def test_program_and_agent_work_together_in_a_clean_environment(installed: Path, tmp_path: Path) -> None:
    assert clean([installed / "playtrace", "--version"], tmp_path).expect(0).out == "playtrace 0.1.0\n"
    (tmp_path / "coverage.profile-playback.ini").write_text("[run]\nrelative_files = True\n", encoding="utf-8")
    (tmp_path / "app.py").write_text("def work():\n    x = 1\n    return x\n\n\ndef idle():\n    return 2\n", "utf-8")
    traced = "import app, playtrace_agent\nwith playtrace_agent.trace('first'):\n    app.work()\n"
    where = {"ENABLE_PROFILE_COVERAGE": "1", "PROFILE_COVERAGE_DIR": str(tmp_path / "coverage")}
    where["PROFILE_COVERAGE_CONFIG"] = str(tmp_path / "coverage.profile-playback.ini")
    (tmp_path / "main.py").write_text(traced, encoding="utf-8")
    clean([installed / "python", "main.py"], tmp_path, **where).expect(0)
    clean([installed / "playtrace", "combine", "--profile", "first", "coverage"], tmp_path).expect(0)
    exported: list[str | Path] = [
        installed / "playtrace",
        "export",
        "coverage/first.coverage",
        "--source",
        ".",
        "--format",
        "json",
    ]
    files = json.loads(clean([*exported, "--output", "-"], tmp_path).expect(0).out)["files"]
    assert files["app.py"]["executed_lines"] == [2, 3]
    assert 7 in files["app.py"]["missing_lines"]


def test_nothing_of_the_agent_stays_when_it_is_removed(tmp_path: Path) -> None:
    """Installed, run, removed by pip: the environment is as it was, but for what Python compiled elsewhere."""
    (agent,) = (ROOT / "dist").glob("playtrace_agent-*.whl")
    home = tmp_path / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    python, more = home / "bin" / "python", {"HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--quiet", "--python", python]

    def files() -> set[str]:
        return {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file() or path.is_dir()}

    before = files()
    clean([*pip, "install", "--no-index", agent], tmp_path, **more).expect(0)
    assert any(name.endswith("playtrace_agent_child.pth") for name in files() - before)
    ran = clean([home / "bin" / "playtrace-agent", "run", "--", python, "-c", "import wsgiref.simple_server"], tmp_path)
    assert ran.expect(0).err == ""
    clean([*pip, "uninstall", "--yes", "playtrace-agent"], tmp_path, **more).expect(0)
    assert {name for name in files() - before if "__pycache__" not in name} == set()
    assert not [name for name in files() if "playtrace" in name.lower()]
    # A Python that still has the variables starts as any other.
    variables = {"ENABLE_PROFILE_COVERAGE": "1", "PROFILE_COVERAGE_HOOKS": "1", "PROFILE_TRACE_SLUG": "p"}
    assert clean([python, "-c", "print(1)"], tmp_path, **variables).expect(0).text == "1"


def test_wctl_is_there_for_those_who_ask_for_it_only(installed: Path, tmp_path: Path) -> None:
    assert not (installed / "wctl").exists()
    # As README.md of the package says.
    (tmp_path / "wctl").symlink_to(installed / "playtrace")
    said = clean([tmp_path / "wctl", "run-test-profile", "--help"], tmp_path).expect(0).out
    assert "--trace-code" in said


def test_the_crates_can_be_packaged() -> None:
    argv = ["cargo", "package", "--workspace", "--no-verify", "--offline", "--allow-dirty"]
    for private in ("xtask", "playtrace-testkit", "playtrace-agent"):
        argv += ["--exclude", private]
    said = run(argv, os.environ, timeout=200).expect(0).err
    # Metadata that crates.io asks for is a warning here.
    assert "warning" not in said, said
    metadata = run(["cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"], os.environ).expect(0)
    for package in json.loads(metadata.out)["packages"]:
        if package["publish"] is None:
            assert package["description"], package["name"]
            assert package["license"] == "MIT OR Apache-2.0"
            assert package["repository"]
            assert (Path(package["manifest_path"]).parent / package["readme"]).is_file()
            unversioned = [
                dependency["name"]
                for dependency in package["dependencies"]
                if dependency["req"] == "*" and dependency["kind"] != "dev"
            ]
            assert unversioned == [], package["name"]


def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    def completed(name: str, *words: str) -> set[str]:
        script = run([surroundings.program(), "completions", "bash", "--name", name], os.environ).expect(0).out
        (tmp_path / "completions").write_text(script, encoding="utf-8")
        # What readline does: the function gets the program, the word at the cursor and the one before it.
        ask = f"source completions; COMP_WORDS=({name} {' '.join(words)}); COMP_CWORD={len(words)}; "
        ask += f"_{name} {name} '{words[-1]}' '{[name, *words][-2]}' && printf '%s\\n' \"${{COMPREPLY[@]}}\""
        return set(run(["bash", "--norc", "-c", ask], CLEAN, cwd=tmp_path).expect(0).out.split())

    assert completed("playtrace", "pe") == {"perf"}
    assert completed("playtrace", "perf", "--max") == {"--max-overhead", "--max-idle-overhead", "--max-rounds"}
    assert completed("playtrace", "index", "b") == {"build"}
    flows = {"run-fork-profile", "run-archive-profile"}
    assert completed("wctl", "run") == {"run-test-profile", "run-profile-coverage-batch", *flows}
    assert completed("wctl", "perf") == set(), "wctl hands perf on: it is not its own"


@pytest.mark.parametrize("shell", ["zsh", "fish", "elvish", "powershell"])
def test_the_other_shells_have_completions(shell: str, tmp_path: Path) -> None:
    script = run([surroundings.program(), "completions", shell], os.environ).expect(0).out
    assert "run-profile-coverage-batch" in script
    assert "max-idle-overhead" in script
    if (program := shutil.which(shell)) is not None and shell in SHELLS:
        (tmp_path / "script").write_text(script, encoding="utf-8")
        run([program, "-n", "script"], CLEAN, cwd=tmp_path).expect(0)


def test_every_command_has_a_manual_page_that_the_formatter_takes(tmp_path: Path) -> None:
    program = surroundings.program()
    run([program, "man", "--output-dir", "man1"], os.environ, cwd=tmp_path).expect(0)
    pages = {path.stem for path in (tmp_path / "man1").glob("*.1")}
    assert {"playtrace", "playtrace-perf", "playtrace-index-build", "wctl", "wctl-run-test-profile"} <= pages
    assert "wctl-perf" not in pages
    for page in sorted((tmp_path / "man1").iterdir()):
        text = page.read_text(encoding="utf-8")
        assert '"playtrace 0.1.0"' in text.splitlines()[2], page.name
        if shutil.which("groff") is not None:
            formatted = run(["groff", "-K", "utf8", "-man", "-ww", "-z", page], CLEAN, cwd=tmp_path).expect(0)
            assert formatted.err == "", page.name
