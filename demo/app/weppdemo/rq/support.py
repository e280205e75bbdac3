"""What jobs share: the connection they came over, and the run's log."""

from __future__ import annotations

from redis import Redis
from rq import get_current_job

from weppdemo.workspace import Workspace


def job_connection() -> Redis:
    """The connection of the job that is running; raises `RuntimeError` outside a job."""
    job = get_current_job()
    if job is None:
        raise RuntimeError("not inside a job")
    return job.connection


def progress(workspace: Workspace, step: str) -> None:
    """Append a line to the run's log: one write, so that lines of parallel jobs never mix."""
    with workspace.path("log", "progress.log").open("a", encoding="utf-8") as stream:
        stream.write(f"{step}\n")
