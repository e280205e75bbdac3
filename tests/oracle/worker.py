"""The oracle's one RQ worker: a `SimpleWorker` that runs every job in the profile's context.

It serves one profile, so every job is that profile's.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from tests.oracle import coverage_side

RECORDER = coverage_side.start()

# Only now: the app's imports are to be measured, as imports.
import rq  # noqa: E402
from weppdemo import worker  # noqa: E402


class OracleWorker(rq.SimpleWorker):
    """Credits each job to the profile, from before its function is imported to after its callbacks."""

    def perform_job(self, *arguments: Any, **options: Any) -> bool:
        """Run the job in the profile's context."""
        with RECORDER.during(f"profile:{os.environ[coverage_side.PROFILE]}"):
            return super().perform_job(*arguments, **options)


if __name__ == "__main__":
    # The name under which the demo's command finds the class.
    sys.modules["tests.oracle.worker"] = sys.modules["__main__"]
    sys.argv[1:] = ["--worker-class", "tests.oracle.worker.OracleWorker"]
    worker.main()
