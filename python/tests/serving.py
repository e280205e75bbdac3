"""Serves small apps with real servers, with the agent's line in the app or by `playtrace-agent run`."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from conftest import PATIENCE
from granian_workers import wait_for_all
from judged import judge
from ports import free_port

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from conftest import Workspace

STATUS = "X-Profile-Trace-Status"
RUN = [sys.executable, "-m", "playtrace_agent", "run", "--"]

#: What every app calls. The lines of each profile are known.
WORK = """
import threading
import time


def do(slug):
    time.sleep(0.003)
    return TASKS[slug]()


def ash():
    return "ash"


def birch():
    found = []
    thread = threading.Thread(target=grow, args=(found,))
    thread.start()
    thread.join()
    return found[0]


def grow(found):
    found.append("birch")


def cedar():
    total = 0
    for n in range(30):
        total += n
    return "cedar"


TASKS = {"ash": ash, "birch": birch, "cedar": cedar, "nobody": lambda: "nobody"}
"""
LINES = {"ash": [6, 7, 11], "birch": [6, 7, 15, 16, 17, 18, 19, 23], "cedar": [6, 7, 27, 28, 29, 30]}


@dataclass(frozen=True)
class App:
    """An app in `app.py`, whose `application` answers `/work/<slug>` with the slug."""

    text: str
    #: The lines of it that answer a request, by their text.
    answering: tuple[str, ...]
    #: What takes the agent's line.
    wrap: str = "import playtrace_agent.wsgi\napplication = playtrace_agent.wsgi.TraceMiddleware(application)\n"
    #: What is to be done with warnings. Not every framework goes without.
    warnings: str = "error"

    def lines(self) -> list[int]:
        """Return the numbers of the answering lines."""
        lines = [line.strip() for line in self.text.lstrip("\n").splitlines()]
        return sorted(lines.index(text) + 1 for text in self.answering)


def get(url: str, **headers: str) -> tuple[str, str | None]:
    """Send a request; the body and the trace status."""
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    with urllib.request.urlopen(request, timeout=60) as response:
        return response.read().decode(), response.headers.get(STATUS)


@contextmanager
def serving(
    workspace: Workspace,
    command: Sequence[str],
    *,
    end: signal.Signals,
    env: Mapping[str, str | None],
    refusing: bool = False,
) -> Iterator[str]:
    """Run a server, whose command has `{port}` where its port goes, until the block ends; stop it in order.

    It traces all that it is asked for, but where it is `refusing`.
    """
    port = free_port()
    log = workspace.root / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [word.replace("{port}", str(port)) for word in command],
            env=workspace.environment(env),
            cwd=workspace.app,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(process, url, log.read_text)
        yield url
        _settle(workspace)
        wait_for_all(log)
    finally:
        if not _stopped(process, end, log.read_text):
            process.kill()
            process.wait()
            pytest.fail(f"the server does not stop:\n{log.read_text()}")
    said = log.read_text()
    unwanted = ("may be incomplete", "left out", "Traceback" if refusing else "not traced")
    assert not any(words in said for words in unwanted), said


def _settle(workspace: Workspace) -> None:
    """Wait until the requests are over: answers are sent before that, and a server may end its threads as they are."""
    deadline = time.monotonic() + PATIENCE
    while any(workspace.look().unclosed(slug, "r") for slug in LINES):
        assert time.monotonic() < deadline, "requests do not end"
        time.sleep(0.05)


def _stopped(process: subprocess.Popen[bytes], end: signal.Signals, said: Callable[[], str]) -> bool:
    deadline, heard = time.monotonic() + PATIENCE, 0
    process.send_signal(end)
    while time.monotonic() < deadline:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
            return True
        # wsgiref takes one that comes while it still sends an answer for the app's, tells of it, and goes on.
        if said().count("\nKeyboardInterrupt\n") > heard:
            heard += 1
            process.send_signal(end)
    return False


def _wait(process: subprocess.Popen[bytes], url: str, said: Callable[[], str]) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            get(url + "/work/nobody")
        except urllib.error.HTTPError as error:
            pytest.fail(f"the server answers {error}:\n{said()}")
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"the server does not answer:\n{said()}")


def replay(url: str, requests: int = 64) -> dict[str, list[str | None]]:
    """Send requests of all profiles and of nobody, several at once; return the trace statuses by profile."""
    slugs = [*LINES, "nobody"]
    steps: dict[str, int] = dict.fromkeys(slugs, 0)
    todo = []
    for n in range(requests):
        slug = slugs[n % len(slugs)]
        steps[slug] += 1
        todo.append((slug, steps[slug]))

    def one(asked: tuple[str, int]) -> tuple[str, str | None]:
        slug, step = asked
        headers = {"X_Profile_Trace": slug, "X_Profile_Trace_Run": "r", "X_Profile_Trace_Step": str(step)}
        body, status = get(f"{url}/work/{slug}", **({} if slug == "nobody" else headers))
        assert body == slug
        return slug, status

    statuses: dict[str, list[str | None]] = {slug: [] for slug in slugs}
    with ThreadPoolExecutor(6) as pool:
        for slug, status in pool.map(one, todo):
            statuses[slug].append(status)
    assert set(statuses.pop("nobody")) == {None}
    return statuses


def check(workspace: Workspace, app: App, statuses: Mapping[str, Sequence[str | None]]) -> None:
    """Find every profile's lines, no others, each request once, and complete verdicts."""
    wrote = workspace.look()
    contexts = wrote.contexts()
    contexts.pop("import", None)
    expected = {f"profile:{slug}": {"app.py": app.lines(), "work.py": lines} for slug, lines in LINES.items()}
    assert contexts == expected
    for slug, answers in statuses.items():
        assert set(answers) == {"on"}
        # Not twice, however often the app is wrapped.
        steps = sorted(record["step"] for record in wrote.of_kind(slug, "open", "r") if record["kind"] == "request")
        assert steps == list(range(1, len(answers) + 1))
        judged = judge(workspace, answers, slug=slug)
        assert (judged.status, judged.reasons) == ("complete", []), judged
