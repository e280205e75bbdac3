"""Settings: read once, faults stop the start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from playtrace_agent import settings

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Workspace


@pytest.mark.parametrize("value", ["1", "true", "TRUE", "yes", "on"])
def test_on(value: str) -> None:
    assert settings.enabled({"ENABLE_PROFILE_COVERAGE": value})


@pytest.mark.parametrize("value", ["", "0", "false", "no", "off"])
def test_off(value: str) -> None:
    assert not settings.enabled({"ENABLE_PROFILE_COVERAGE": value})
    assert not settings.enabled({})


def test_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = settings.load({})
    assert str(found.directory) == "/workdir/wepppy-test-engine-data/coverage"
    assert (found.root, found.config, found.prefix, found.strict) == (tmp_path, None, "profile", False)


def test_the_configuration_lies_beside_the_app_or_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = tmp_path / "project" / "package"
    app.mkdir(parents=True)
    config = tmp_path / "project" / "coverage.profile-playback.ini"
    config.touch()
    monkeypatch.chdir(tmp_path)
    found = settings.load({}, app)
    assert (found.config, found.root) == (config, config.parent)


def test_a_child_elsewhere_comes_to_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c.ini").touch()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    here = settings.load(
        {"PROFILE_COVERAGE_DIR": "data", "PROFILE_COVERAGE_CONFIG": "c.ini", "PROFILE_COVERAGE_ROOT": "."}
    )
    monkeypatch.chdir(tmp_path / "other")
    assert settings.load(here.for_child()) == here
    assert here.directory == tmp_path / "data"


def test_limits_have_units() -> None:
    named = {"MAX_SHARD": "250 MB", "MAX_LEDGER": "1GiB", "MIN_FREE": "0", "MAX_RUNS": "7", "MAX_FILES": " "}
    found = settings.load({f"PROFILE_COVERAGE_{name}": value for name, value in named.items()}).limits
    assert found == {"contexts": 4096, "runs": 7, "files": 50_000, "shard": 250_000_000, "ledger": 2**30, "free": 0}


def test_a_secret_is_in_nothing_that_is_shown_or_handed_on() -> None:
    secret = "a secret of some length"
    found = settings.load({"PROFILE_TRACE_SECRET": f" {secret} ", "PROFILE_TRACE_ALLOW": "10.0.0.0/8"})
    assert found.secret is not None
    assert found.secret.strip() == secret
    assert secret not in repr(found)
    assert settings.load({"PROFILE_TRACE_SECRET": ""}).secret is None
    with pytest.raises(settings.SettingsError, match="is not UTF-8") as raised:
        settings.load({"PROFILE_TRACE_SECRET": "0123456789abcdef\udcff"})
    assert "0123" not in str(raised.value)
    handed_on = found.for_child()
    assert secret not in str(handed_on)
    # Without it, a child lets nobody in.
    child = settings.load(handed_on)
    assert (child.secret, child.signed_only, child.allow) == (None, True, "10.0.0.0/8")
    assert settings.load(settings.load({}).for_child()).signed_only is False


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ENABLE_PROFILE_COVERAGE", "maybe", "use 1, true, yes or on"),
        ("PROFILE_COVERAGE_ENGINE", "ctrace", "use one of native, coverage"),
        ("PROFILE_COVERAGE_GRANULARITY", "lines", "use one of profile, steps, request, symbol"),
        ("PROFILE_TRACE_SECRET", "s3cret, fifteen", "has 15 bytes: use 16 at least"),
        ("PROFILE_TRACE_SECRET", " " * 20, "has 0 bytes"),
        ("PROFILE_TRACE_ALLOW", "10.0.0.0/33", "is no network"),
        ("PROFILE_TRACE_ALLOW", "10.0.0.0/8, elsewhere", '"elsewhere"'),
        ("PROFILE_TRACE_SIGNED", "maybe", "use 1, true, yes or on"),
        ("PROFILE_COVERAGE_MAX_RUNS", "10kB", "use a whole number, or 0"),
        ("PROFILE_COVERAGE_MAX_FILES", "-1", "use a whole number, or 0"),
        ("PROFILE_COVERAGE_MAX_CONTEXTS", "many", "use a whole number, or 0"),
        ("PROFILE_COVERAGE_MAX_SHARD", "1XB", "use bytes, such as 250MB"),
        ("PROFILE_COVERAGE_MAX_LEDGER", "1e9", "use bytes, such as 250MB"),
        ("PROFILE_COVERAGE_MIN_FREE", "10%", "use bytes, such as 250MB"),
        ("PROFILE_COVERAGE_CONFIG", "none.ini", "no such file"),
        ("PROFILE_COVERAGE_ROOT", "nowhere", "no such directory"),
        ("PROFILE_COVERAGE_CONTEXT_PREFIX", "import", "choose another"),
        ("PROFILE_COVERAGE_STRICT", "perhaps", "use 1, true, yes or on"),
    ],
)
def test_a_fault_stops_the_start_and_names_the_setting(workspace: Workspace, name: str, value: str, says: str) -> None:
    outcome = workspace.run(
        """
        from flask import Flask
        import playtrace_agent.flask

        playtrace_agent.flask.init_app(Flask("x"))
        """,
        env={name: value},
        check=False,
    )
    assert outcome.code != 0
    assert name in outcome.err.splitlines()[-1]
    assert says in outcome.err
    assert value not in outcome.err or name != "PROFILE_TRACE_SECRET"
    assert not workspace.data.exists()


def test_a_broken_configuration_is_named_with_its_line(workspace: Workspace) -> None:
    workspace.write("coverage.profile-playback.ini", "[run]\nrelative_files = perhaps\n")
    outcome = workspace.run(
        "import playtrace_agent.rq\nplaytrace_agent.rq.install()\n", check=False, warnings="default"
    )
    assert outcome.code != 0
    assert "SettingsError" in outcome.err
    assert "coverage.profile-playback.ini" in outcome.err


def test_keys_without_effect_are_said_once(workspace: Workspace) -> None:
    workspace.write("coverage.profile-playback.ini", "[run]\nrelative_files = True\ndynamic_context = test_function\n")
    outcome = workspace.run(
        """
        import logging
        logging.basicConfig(level=logging.WARNING)
        import playtrace_agent.rq, playtrace_agent.wsgi
        playtrace_agent.rq.install()
        playtrace_agent.wsgi.TraceMiddleware(print)
        """,
        warnings="default",
    )
    assert outcome.err.count("dynamic_context") == 1


def test_the_configuration_decides_on_files(workspace: Workspace) -> None:
    workspace.write("coverage.profile-playback.ini", "[run]\nrelative_files = True\nomit =\n    driver.py\n    b/*\n")
    workspace.write("a/__init__.py", "")
    workspace.write("a/x.py", "def f():\n    return 1\n")
    workspace.write("b/__init__.py", "")
    workspace.write("b/x.py", "def f():\n    return 1\n")
    outcome = workspace.run(
        """
        import json, a.x, b.x, playtrace_agent
        with playtrace_agent.trace("p"):
            a.x.f(), b.x.f(), json.dumps([1])
        """
    )
    assert outcome.wrote.contexts() == {"profile:p": {"a/x.py": [2]}}


def test_the_prefix_of_contexts(workspace: Workspace) -> None:
    workspace.write("x.py", "def f():\n    return 1\n")
    outcome = workspace.run(
        "import x, playtrace_agent\nwith playtrace_agent.trace('p'):\n    x.f()\n",
        env={"PROFILE_COVERAGE_CONTEXT_PREFIX": "session"},
    )
    assert outcome.wrote.contexts() == {"session:p": {"x.py": [2]}}
