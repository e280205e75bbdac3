"""Left on for months: a shard a day, and nothing that grows from one day to the next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from test_always import CLIENT, app
from traffic import ALWAYS, entered, shards

if TYPE_CHECKING:
    from conftest import Workspace

__all__ = ("app",)
DAYS, SETTLED = 120, 40
FIRST = 20_000


def test_four_months(app: Workspace) -> None:
    outcome = app.run(
        CLIENT
        + f"""
import gc, json, os

def room():
    gc.collect()
    return {{
        "resident": int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
        "files": len(os.listdir("/proc/self/fd")),
    }}

for day in range({DAYS}):
    _native.pretend(({FIRST} + day) * 24 * 60 * 60 * 1000)
    for name in ("real", "shared", "made"):
        get(name)
    get("profiled", slug="p")
    if day == {SETTLED}:
        before = room()
print(json.dumps([before, room()]))
""",
        env=ALWAYS,
    )
    written = shards(app)
    assert len(written) == len({path.parent for path in written}) == DAYS
    first, last = sorted(path.parent.name for path in written)[:: DAYS - 1]
    assert {"real", "shared", "made"} <= entered(app, last)
    assert {"real", "shared", "made"} <= entered(app, first)
    before, after = json.loads(outcome.out)
    assert after["files"] == before["files"]
    # 80 days more: two kilobytes for each would be a leak.
    assert after["resident"] - before["resident"] < 150_000, (before, after)
