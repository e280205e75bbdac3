"""`make nights`: the repository's own workflows, with the demo's own profiles, for two nights.

Exits non-zero where a status, a summary, an exit code or a bundle is not what it must be.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from datetime import date
from pathlib import Path

from tests.nights.runner import load
from tests.nights.scenario import FIRST, LIST, SECOND, Cast, Nights, two_nights
from tests.oracle import surroundings
from tests.support import options

from stack import Stack  # isort: skip


def main() -> int:
    """Play the nights; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/nights"), help="where all is written (%(default)s)")
    out: Path = parser.parse_args().out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    entries: list[dict[str, str]] = load(surroundings.REPOSITORY / LIST)  # type: ignore[assignment]
    flows = [entry["workflow_slug"] for entry in entries if entry["playback_type"] != "run"]
    replays = [entry for entry in entries if entry["playback_type"] == "run"]
    nightly = [entry for entry in replays if entry.get("cadence", "nightly") == "nightly"]
    # The weekly one fails on purpose: nothing better is ever known of it.
    weekly = [entry["workflow_slug"] for entry in replays if entry not in nightly]
    assert date.fromisoformat(SECOND).weekday() == 6, "a Sunday"
    print(f"==> nights of {FIRST} and {SECOND}: {len(nightly)} replays and {len(flows)} flows of the demo", flush=True)
    with Stack(options(out / "stack")) as stack:
        repository = out / "repository"
        shutil.copytree(surroundings.REPOSITORY / ".github", repository / ".github")
        nights = Nights.over(stack, repository, out / "work")
        fails, flaky, missing, killed = (entry["workflow_slug"] for entry in nightly)
        cast = Cast(
            # The four nightly replays have parts to play.
            fine=None,
            fails=fails,
            flaky=flaky,
            missing=missing,
            killed=killed,
            logs={entry["workflow_slug"]: entry["artifact_path"] for entry in entries},
            log_names={entry["workflow_slug"]: entry["artifact_name"] for entry in entries},
            profiles={entry["workflow_slug"]: entry["profile_slug"] for entry in entries},
        )
        as_ever: dict[str, tuple[str, str | None, int | None]] = dict.fromkeys(weekly, ("failed", "incomplete", 0))
        two_nights(nights, cast, also=as_ever | dict.fromkeys(flows, ("passed", "fresh", 0)))
    print("==> both nights are as they must be", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
