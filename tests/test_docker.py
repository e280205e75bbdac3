"""`docker/` without an engine: schema, linter, sources, commands, health checks, and what documents say to type."""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import containers, documents
from tests.containers import COMPOSE, DOCKER, DOCKERFILES, ROOT, Instruction, compose, stages
from tests.oracle import surroundings
from tests.support import Ended, environment, run

from stack import DEMO, Stack  # isort: skip

HADOLINT = Path(sys.executable).parent / "hadolint"
DATA = "/workdir/wepppy-test-engine-data"
OURS = ("weppcloud", "rq-worker", "profile-playback")


def check_schema(path: Path) -> Ended:
    """Hold a compose file against the schema that check-jsonschema carries."""
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return run(argv, {**os.environ, "PYTHONWARNINGS": "ignore"})


def test_the_compose_file_is_valid(tmp_path: Path) -> None:
    check_schema(COMPOSE).expect(0)
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(COMPOSE.read_text(encoding="utf-8").replace("healthcheck:", "healthchecks:"), encoding="utf-8")
    assert check_schema(wrong).code != 0, "the schema does see mistakes"


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_has_nothing_to_say(dockerfile: Path, tmp_path: Path) -> None:
    ended = run([HADOLINT, "--no-color", dockerfile], dict(os.environ))
    assert (ended.code, ended.out) == (0, "")
    wrong = tmp_path / "Dockerfile"
    text = dockerfile.read_text(encoding="utf-8").replace("-bookworm", "")
    wrong.write_text(re.sub(r"^FROM (\w+):\S+", r"FROM \1:latest", text, flags=re.MULTILINE), encoding="utf-8")
    assert "DL3007" in run([HADOLINT, "--no-color", wrong], dict(os.environ)).out, "it does see mistakes"


def let_through(source: str) -> bool:
    """Whether `.dockerignore` lets a path into the build's context. Docker's rule: the last line that fits decides."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        parts = source.split("/")
        begins = ["/".join(parts[: length + 1]) for length in range(len(parts))]
        short = pattern.removeprefix("**/")
        fits = any(fnmatch.fnmatch(begin, short if "/" in begin or short == pattern else pattern) for begin in begins)
        if fits or (pattern != short and any(fnmatch.fnmatch(part, short) for part in parts)):
            ignored = not line.startswith("!")
    return not ignored


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_what_is_copied_is_there_and_in_the_context(dockerfile: Path) -> None:
    known: set[str] = set()
    for stage in stages(dockerfile):
        for copy in stage.of("COPY"):
            *sources, _ = copy.words
            assert sources, copy
            if "from" in copy.flags:
                assert copy.flags["from"] in known, f"{dockerfile.name}: there is no stage {copy.flags['from']}"
                continue
            for source in sources:
                assert (ROOT / source).exists(), f"{dockerfile.name}: {source}"
                assert let_through(source), f"{dockerfile.name}: .dockerignore keeps {source} out"
        known.add(stage.name)
    for secret in ("docker/.env", "docker/.env.coverage", ".git", ".venv", "target", "out"):
        assert not let_through(secret), secret


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_images_are_multi_stage_pinned_by_tag_and_not_root(dockerfile: Path) -> None:
    found = stages(dockerfile)
    assert len(found) >= 2
    for stage in found:
        assert re.fullmatch(r"[a-z]+:[\w.-]*\d[\w.-]*|debian:bookworm-slim", stage.base), stage.base
    last = found[-1]
    assert "slim" in last.base
    assert [user.rest for user in last.of("USER")] == ["1000:1000"]
    made = " ".join(step.rest for step in last.of("RUN"))
    assert "useradd --uid 1000 --gid 1000" in made
    assert last.of("HEALTHCHECK")
    # Whatever was compiled with stays behind.
    assert not {"/usr/local/cargo", "/usr/local/rustup"} & {copy.words[0] for copy in last.of("COPY")}


def test_the_toolchain_of_the_images_is_the_workspace_s() -> None:
    manifest = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    version = re.search(r'^rust-version = "([\d.]+)"', manifest, re.MULTILINE)
    assert version is not None
    bases = [stage.base for dockerfile in DOCKERFILES for stage in stages(dockerfile)]
    assert {base for base in bases if base.startswith("rust:")} == {f"rust:{version[1]}-slim-bookworm"}


def steps(word: str) -> Iterator[tuple[Path, Instruction]]:
    """All instructions of one kind."""
    for dockerfile in DOCKERFILES:
        for stage in stages(dockerfile):
            for instruction in stage.of(word):
                yield dockerfile, instruction


def test_shells_take_the_steps_and_their_requirements_are_there_with_hashes() -> None:
    required: set[str] = set()
    for dockerfile, step in steps("RUN"):
        syntax = run(["sh", "-n", "-c", step.rest], {})
        assert syntax.code == 0, f"{dockerfile.name}: {step.rest}\n{syntax.err}"
        for name in re.findall(r"-r /?(requirements/\S+)", step.rest):
            assert "--require-hashes" in step.rest
            required.add(name)
        for package in re.findall(r"--package (\S+)", step.rest):
            assert (ROOT / "crates" / package / "Cargo.toml").is_file()
    assert required == {"requirements/demo.txt", "requirements/maturin.txt"}
    for name in required:
        text = (ROOT / name).read_text(encoding="utf-8")
        entries = [entry for entry in re.split(r"\n(?=\S)", text) if entry and not entry.startswith("#")]
        assert entries
        assert all("--hash=sha256:" in entry for entry in entries), name
    assert "coverage==7.11.3 " in (ROOT / "requirements/demo.txt").read_text(encoding="utf-8")
    development = (ROOT / "requirements/dev.txt").read_text(encoding="utf-8")
    (maturin,) = re.findall(r"^maturin==\S+", (ROOT / "requirements/maturin.txt").read_text("utf-8"), re.MULTILINE)
    assert maturin in development, "the images' maturin is that of the other wheels"


# The compose file --------------------------------------------------------------------------------


def test_the_services_are_those_of_the_customer() -> None:
    services = compose()["services"]
    assert {"weppcloud", "rq-worker", "redis", "profile-playback"} < set(services)
    assert services["weppcloud"]["container_name"] == "weppcloud", "the customer types `docker exec weppcloud`"
    for name in OURS:
        service = services[name]
        assert service["user"] == "1000:1000", name
        assert service["healthcheck"]["test"], name
        assert service["volumes"] == [f"data:{DATA}"], name
        assert service["depends_on"]["data"] == {"condition": "service_completed_successfully"}
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} is open to the network"
    assert "data" in compose()["volumes"]
    assert compose({"PLAYTRACE_DATA_ROOT": "/srv/x"})["services"]["rq-worker"]["volumes"] == [f"/srv/x:{DATA}"]
    for service in services.values():
        if "build" in service:
            dockerfile = COMPOSE.parent / service["build"]["context"] / service["build"]["dockerfile"]
            assert dockerfile.resolve() in DOCKERFILES


def test_the_overlay_reaches_app_and_worker() -> None:
    usual, traced = compose(), compose({"WEPPPY_ENV_FILE": ".env.coverage"})
    for name in OURS:
        assert usual["services"][name]["env_file"] == [".env"]
        assert traced["services"][name]["env_file"] == [".env.coverage"]
        # `environment` would win over the file.
        assert "ENABLE_PROFILE_COVERAGE" not in traced["services"][name].get("environment", {})
    assert (COMPOSE.parent / ".env.example").is_file(), "relative to the compose file"
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"/docker/.env", "/docker/.env.coverage"} <= set(ignored), "secrets are not committed"


def test_every_variable_is_one_that_somebody_reads() -> None:
    """Spelt as in the sources of the program, the agent and the demo, or as Flask and Docker spell it."""
    named = containers.env_file(DOCKER / ".env.example").keys() - containers.variables_of_compose()
    services = compose()["services"]
    named |= {name for service in services.values() for name in service.get("environment", {})}
    for _, step in steps("ENV"):
        named |= set(re.findall(r"(\w+)=", step.rest))
    outside = {"PATH", "CARGO_HOME", "RUSTUP_HOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
    # Flask reads what begins with FLASK_, because the demo asks it to.
    outside |= {"FLASK_SESSION_COOKIE_SECURE"}
    assert "from_prefixed_env()" in (surroundings.APP / "weppdemo" / "app.py").read_text(encoding="utf-8")
    sources = [*(ROOT / "crates").rglob("*.rs"), *(ROOT / "python").rglob("*.py"), *surroundings.APP.rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    assert {name for name in named - outside if f'"{name}"' not in text} == set()
    assert {"ADMIN_EMAIL", "ADMIN_PASSWORD"} <= named
    # What is filled into the compose file is explained in the example, but for the overlay's own name.
    example = set(containers.env_file(DOCKER / ".env.example"))
    assert containers.variables_of_compose() - {"WEPPPY_ENV_FILE"} <= example


def test_the_demo_s_cookie_can_do_without_tls() -> None:
    """The player keeps Secure cookies from http, but for loopback; between containers the demo must not set them so."""
    ask = "from weppdemo.app import create_app; print(create_app().config['SESSION_COOKIE_SECURE'])"
    env = {**os.environ, "PYTHONPATH": str(surroundings.APP), "ENABLE_PROFILE_COVERAGE": "0"}
    wanted = compose()["services"]["weppcloud"]["environment"]["FLASK_SESSION_COOKIE_SECURE"]
    said = run([sys.executable, "-c", ask], env | {"FLASK_SESSION_COOKIE_SECURE": wanted}).expect(0)
    assert said.out == "False\n"
    assert run([sys.executable, "-c", ask], env).expect(0).out == "True\n"


# What containers run -----------------------------------------------------------------------------


def outside(words: list[str], stack: Stack) -> list[str]:
    """A container's command as it is typed on this machine, against a stack."""
    text = "\0".join(words)
    text = text.replace("/opt/stack/", f"{DOCKER}/").replace("/srv/demo/", f"{DEMO}/").replace("/opt/venv/bin/", "")
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{stack.app_port}")
    text = re.sub(r"127\.0\.0\.1/8070", f"127.0.0.1/{stack.service_port}", text)
    moved = text.split("\0")
    return [sys.executable, *moved[1:]] if moved[0] == "python" else moved


def health_checks() -> list[list[str]]:
    """Of the compose file and of the Dockerfiles, but for Redis's own."""
    services = compose()["services"]
    found = [services[name]["healthcheck"]["test"][1:] for name in OURS]
    for _, step in steps("HEALTHCHECK"):
        _, _, command = step.rest.partition("CMD ")
        found.append(Instruction("CMD", {}, command).words)
    return found


def test_health_checks_tell_a_stack_that_is_well_from_one_that_is_not(stack: Stack) -> None:
    env = environment(stack, WEPPDEMO_REDIS_URL=stack.redis_url)
    for check in health_checks():
        run(outside(check, stack), env, cwd=ROOT).expect(0)
    with socket.socket() as taken:
        # Bound and not listening: nobody answers there.
        taken.bind(("127.0.0.1", 0))
        nobody = str(taken.getsockname()[1])
        gone = env | {"WEPPDEMO_REDIS_URL": f"redis://127.0.0.1:{nobody}/0"}
        for check in health_checks():
            words = [
                word.replace(f":{stack.app_port}", f":{nobody}").replace(f"/{stack.service_port}", f"/{nobody}")
                for word in outside(check, stack)
            ]
            assert run(words, gone, cwd=ROOT).code != 0, words


def test_a_worker_s_health_is_that_of_a_worker_here(stack: Stack) -> None:
    """Redis answers, and knows no worker of this host: another database of it is empty."""
    other = stack.redis_url.removesuffix("/0") + "/9"
    ended = run([sys.executable, DOCKER / "worker_health.py"], environment(stack, WEPPDEMO_REDIS_URL=other))
    assert ended.code == 1
    assert "knows 0 workers" in ended.out


def test_commands_of_containers_can_be_run() -> None:
    services = compose()["services"]
    commands = [service["command"] for service in services.values() if "command" in service]
    commands += [step.words for _, step in steps("CMD")]
    for words in commands:
        if words[0] == "playtrace":
            assert documents.unknown_to_program(words) is None, words
        elif words[0] == "gunicorn":
            config = words[words.index("--config") + 1].replace("/srv/demo/", f"{DEMO}/")
            argv = [sys.executable, "-m", "gunicorn", "--check-config", "--config", config]
            rest = words[words.index("--config") + 2 :]
            run([*argv, *rest], {**os.environ, "PYTHONPATH": str(surroundings.APP)}, cwd=surroundings.APP).expect(0)
        elif words[:2] == ["python", "-m"]:
            env = {**os.environ, "PYTHONPATH": str(surroundings.APP)}
            run([sys.executable, *words[1:], "--help"], env).expect(0)
        elif words[0] == "sh":
            assert (DOCKER / Path(words[1]).name).is_file()
        else:
            assert words[0] == "redis-server", words


def test_the_data_root_is_made_once_and_left_alone_afterwards(tmp_path: Path) -> None:
    script = DOCKER / "prepare_data.sh"
    profiles, root = tmp_path / "profiles", tmp_path / "data"
    (profiles / "one" / "capture").mkdir(parents=True)
    (profiles / "one" / "capture" / "events.jsonl").touch()
    env = {**os.environ, "PLAYTRACE_OWNER": f"{os.getuid()}:{os.getgid()}"}
    run(["sh", script, root, profiles], env).expect(0)
    assert (root / "coverage").stat().st_mode & 0o7777 == 0o2775
    mine = root / "profiles" / "one" / "capture" / "events.jsonl"
    mine.write_text("changed\n", encoding="utf-8")
    (profiles / "two").mkdir()
    run(["sh", script, root, profiles], env).expect(0)
    assert mine.read_text(encoding="utf-8") == "changed\n"
    assert (root / "profiles" / "two").is_dir()
    # The places that the compose file names are among those that it makes.
    named = {value for value in compose()["services"]["weppcloud"]["environment"].values() if value.startswith(DATA)}
    assert named
    assert all((root / value.removeprefix(f"{DATA}/")).is_dir() for value in named)


# What documents say ------------------------------------------------------------------------------


def in_container(service: dict[str, Any], words: list[str]) -> None:
    """Fail unless a command makes sense in a service's container."""
    playback = "profile-playback" in service["image"]
    if words[0] in ("playtrace", "wctl"):
        assert playback, f"{words}: only the service's image has the program"
        assert documents.unknown_to_program(words) is None, words
    elif words[0] == "sh":
        assert words[1] == "-c", words
        assert run(["sh", "-n", "-c", words[2]], {}).code == 0, words
        for path in re.findall(r"/opt/venv/bin/(\S+)", words[2]):
            assert not playback, f"{words}: only the app's image has /opt/venv"
            assert (Path(sys.executable).parent / path).is_file(), path
        for path in re.findall(r"cd (\S+)", words[2]):
            assert path.startswith(DATA), path
    else:
        assert words[0] in ("env", "id", "ls"), words


@pytest.mark.parametrize("command", documents.docker_commands(), ids=str)
def test_docker_commands_of_documents_fit_the_compose_file(command: documents.Command) -> None:
    syntax = run(["bash", "-n", "-c", command.text], {})
    assert syntax.code == 0, syntax.err
    services = compose()["services"]
    words = shlex.split(command.text)
    if "|" in words:
        words = words[: words.index("|")]
    while re.fullmatch(r"[A-Z_]+=\S+", words[0]):
        name, _, value = words.pop(0).partition("=")
        assert name in containers.variables_of_compose(), name
        assert name != "WEPPPY_ENV_FILE" or value in (".env", ".env.coverage")
    assert words.pop(0) == "docker"
    verb = words.pop(0)
    if verb == "compose":
        assert words[:2] == ["-f", "docker/docker-compose.dev.yml"]
        action, *rest = words[2:]
        known: dict[str, set[str]] = {"up": {"-d", "--build"}, "ps": set(), "restart": set(), "down": {"--volumes"}}
        assert action in known, action
        for word in rest:
            assert word in known[action] or word in services, word
    elif verb == "exec":
        by_container = {service.get("container_name"): service for service in services.values()}
        user = None
        if words[0] == "-u":
            user, words = words[1], words[2:]
        service = by_container[words.pop(0)]
        assert user is None or service["user"].startswith(f"{user}:")
        in_container(service, words)
    else:
        assert verb == "build", verb
        options = dict(zip(words[::2], words[1::2], strict=False))
        assert (ROOT / options["-f"]).is_file()
        assert options["-t"] in {service.get("image") for service in services.values()}


def test_the_readme_s_other_commands_run(stack: Stack, tmp_path: Path) -> None:
    """In a directory that holds `docker/` and nothing else of the repository."""
    (tmp_path / "docker").mkdir()
    shutil.copy(DOCKER / ".env.example", tmp_path / "docker")
    mine = [command for command in documents.commands(DOCKER / "README.md") if not command.needs_docker]
    overlays = []
    for command in mine:
        text = command.text.replace("http://127.0.0.1:8070", stack.service_url).replace("/tmp/", f"{tmp_path}/")
        run(["bash", "-euo", "pipefail", "-c", text], environment(stack), cwd=tmp_path).expect(0)
        overlays += [path.read_text(encoding="utf-8") for path in (tmp_path / "docker").glob(".env.coverage")]
    assert (tmp_path / "profile-coverage" / "legacy-palouse.coverage").is_file()
    assert "\nENABLE_PROFILE_COVERAGE=1\n" in overlays[-1]
    assert not (tmp_path / "docker" / ".env.coverage").exists(), "it is tidied up"
