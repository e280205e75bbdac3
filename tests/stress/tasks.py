"""The stress app's Celery side: `celery -A tests.stress.tasks worker`, and `python -m tests.stress.tasks FILE`.

The latter sends one task for each line of a file.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import playtrace_agent
import playtrace_agent.celery
from celery import Celery, signals

from tests.stress import support
from tests.stress.app import SWITCH_SECONDS
from tests.stress.worker import PORT, job

playtrace_agent.celery.install()
_URL = f"redis://127.0.0.1:{os.environ[PORT]}"
app = Celery("tests.stress.tasks", broker=f"{_URL}/0")
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True, worker_prefetch_multiplier=4)


@app.task(name="tests.stress.tasks.work")
def work(query: Mapping[str, str]) -> None:
    """Do what a request asks for, and record it."""
    job(query)


@signals.worker_init.connect
def _prepare(**_: object) -> None:
    # A task must not find an import undone.
    importlib.import_module("stresswork.kinds")


@signals.worker_process_init.connect
def _begin(**_: object) -> None:
    """Prepare a process of the pool; its parent gets no threads: a fork copies none."""
    sys.setswitchinterval(SWITCH_SECONDS)
    support.start()


def send(file: Path) -> None:
    """Send as traced work of the profile, the way that an app does: the agent tags the task."""
    for line in file.read_text(encoding="utf-8").splitlines():
        slug, query = json.loads(line)
        with playtrace_agent.trace(slug, query["run"]) if query["run"] else nullcontext():
            app.send_task("tests.stress.tasks.work", (query,))


if __name__ == "__main__":
    send(Path(sys.argv[1]))
