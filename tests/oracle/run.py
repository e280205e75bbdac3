"""One profile under coverage.py: a single-threaded web process, one `SimpleWorker`, and their subprocesses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import coverage

from tests.oracle import coverage_side, surroundings
from tests.oracle.client import Account, Sender, Sent

from stack import ADMIN_EMAIL, ADMIN_PASSWORD, Stack, StackOptions  # isort: skip
from stack_services import redis_command, wait_until  # isort: skip

# Executed lines by path, relative to the measured root.
Lines = dict[str, set[int]]


@dataclass(frozen=True)
class Oracle:
    """What coverage.py says about one profile, and how its session went."""

    slug: str
    contexts: dict[str, Lines]
    sent: Sent

    @property
    def lines(self) -> Lines:
        """The profile's own lines."""
        return self.contexts.get(f"profile:{self.slug}", {})


def record(slug: str, out: Path) -> Oracle:
    """Send the profile's session to the demo app under coverage.py. Everything is written below `out`."""
    python = str(surroundings.separate_python(out / "python"))
    data_file = out / "data" / slug
    data_file.parent.mkdir(parents=True)
    options = StackOptions(
        out=out / "stack",
        redis_server=surroundings.redis_server(),
        rq_workers=1,
        trace=False,
        env={
            coverage_side.CONFIG: str(surroundings.CONFIG),
            coverage_side.DATA_FILE: str(data_file),
            coverage_side.ROOT: str(surroundings.ROOT),
            coverage_side.PROFILE: slug,
        },
        web_command=[
            *(python, "-m", "gunicorn", "--worker-class", "sync", "--workers", "1"),
            *("--bind", "127.0.0.1:{port}", "--timeout", "300", "tests.oracle.web:application"),
        ],
        worker_command=[python, "-m", "tests.oracle.worker"],
    )
    with Stack(options) as stack:
        run_root = Path(stack.exports()["PROFILE_PLAYBACK_RUN_ROOT"])
        sender = Sender(surroundings.PROFILES / slug, stack.app_url, run_root, Account(ADMIN_EMAIL, ADMIN_PASSWORD))
        sent = sender.send(stack.check)
        # A job whose id no answer names is still the profile's.
        wait_until(lambda: idle(stack.redis_port), "the queue's end", stack.worker_services(), 120.0)
        for name in ("worker-1", "web"):
            # Ended in good order, for coverage.py writes its data at the end.
            stack.services[name].check()
            stack.services[name].stop(60.0)
    return Oracle(slug, read_contexts(combined(data_file)), sent)


def idle(redis_port: int) -> bool:
    """Whether no job waits and none runs."""
    counts = [
        redis_command(redis_port, "LLEN", "rq:queue:weppdemo"),
        redis_command(redis_port, "ZCARD", "rq:wip:weppdemo"),
    ]
    return counts == [":0", ":0"]


def combined(data_file: Path) -> Path:
    """Combine the processes' files as `coverage combine` does; at least a web process's and a worker's."""
    shards = sorted(data_file.parent.glob(f"{data_file.name}.*"))
    if len(shards) < 2:
        raise RuntimeError(f"only {len(shards)} data files in {data_file.parent}: a process did not write its own")
    whole = coverage.Coverage(data_file=str(data_file), config_file=False, messages=False)
    whole.combine(data_paths=[str(shard) for shard in shards], strict=True, keep=True)
    whole.save()
    return data_file


def read_contexts(path: Path, root: Path = surroundings.ROOT) -> dict[str, Lines]:
    """Every context's executed lines by path relative to `root`, out of any file in coverage.py's format."""
    data = coverage.CoverageData(basename=str(path))
    data.read()
    contexts: dict[str, Lines] = defaultdict(dict)
    for context in sorted(data.measured_contexts()):
        data.set_query_context(context)
        for measured in sorted(data.measured_files()):
            lines = set(data.lines(measured) or ())
            if lines:
                # One file under two names: a process that was started elsewhere writes the whole path.
                contexts[context].setdefault(relative(measured, root), set()).update(lines)
    return dict(contexts)


def relative(measured: str, root: Path) -> str:
    """A measured path relative to `root`."""
    path = Path(measured)
    return str(path.relative_to(root)) if path.is_absolute() else measured


def pairs(lines: Lines) -> Iterator[tuple[str, int]]:
    """(path, line), sorted."""
    for path in sorted(lines):
        for line in sorted(lines[path]):
            yield path, line
