"""What an RQ job says about the profile that it belongs to."""

from __future__ import annotations

from typing import Any

from . import jobs

#: On a job object: the slug and run that it owes to its meta, because traced work made it or it is traced here.
OWED = "_playtrace_owed"
#: On a job object: its promise is in the ledger.
PROMISED = "_playtrace_promised"
#: On a job object: the ledger has been told that its meta lost the slug.
MISSED = "_playtrace_missed"
#: On a job object that this process's worker, or its queue without workers, has taken to perform it.
TAKEN = "_playtrace_taken"
#: On a job object while it is performed.
RUNNING = "_playtrace_running"


def run_of(job: Any) -> jobs.Run | None:
    """Return the slug and run that a job's meta names."""
    try:
        meta = job.meta
    except Exception:  # noqa: BLE001 - meta that can't be read is the app's affair
        return None
    return jobs.run_in(meta)


def wrap(cls: Any, name: str, wrapper: Any) -> None:
    """Wrap a method, where the class has it: versions of RQ differ."""
    original = getattr(cls, name, None)
    if original is not None:
        setattr(cls, name, wrapper(original))
