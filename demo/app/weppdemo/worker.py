"""Start a worker: `python -m weppdemo.worker [--worker-class rq.SimpleWorker] [--burst]`."""

from __future__ import annotations

import argparse
import logging
from importlib import import_module

import playtrace_agent.rq
import rq

from weppdemo.queues import QUEUE_NAME, connect
from weppdemo.settings import Settings


def worker_class(dotted: str) -> type[rq.worker.BaseWorker]:
    """The class of that dotted name; raises `SystemExit` when there is none."""
    module, _, name = dotted.rpartition(".")
    found = getattr(import_module(module or "rq"), name, None)
    if not isinstance(found, type) or not issubclass(found, rq.worker.BaseWorker):
        raise SystemExit(f"{dotted}: not a worker class")
    return found


def main() -> None:
    """Work until told to stop."""
    parser = argparse.ArgumentParser(description="Work on the demo's background jobs.")
    parser.add_argument("--worker-class", default="rq.Worker", help="dotted name (default: %(default)s)")
    parser.add_argument("--name", default=None, help="the worker's name (default: made up by rq)")
    parser.add_argument("--burst", action="store_true", help="stop when the queue is empty")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    playtrace_agent.rq.install()
    connection = connect(Settings.from_env())
    worker = worker_class(options.worker_class)([QUEUE_NAME], connection=connection, name=options.name)
    worker.work(burst=options.burst, logging_level="INFO")


if __name__ == "__main__":
    main()
