"""What the standard library does in a pool's thread to wake whoever waits for a future belongs to the waiting."""

from __future__ import annotations

import asyncio.futures
import inspect
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Workspace


def test_the_state_of_a_future_is_carried_over_by_who_waits(workspace: Workspace) -> None:
    plumbing = Path(asyncio.futures.__file__)
    workspace.write("coverage.profile-playback.ini", f"[run]\ninclude =\n    {plumbing}\n")
    workspace.run(
        """
        import asyncio, threading
        import playtrace_agent

        waits = threading.Event()

        def fails():
            waits.wait()
            raise ValueError("as expected")

        async def main():
            future = asyncio.get_running_loop().run_in_executor(None, fails)
            # The future is chained by now: its callback runs in the pool's thread.
            waits.set()
            try:
                await future
            except ValueError:
                pass

        with playtrace_agent.trace("p", "r"):
            asyncio.run(main())
        """
    )
    found = workspace.look()
    lines = found.ledger_lines("p", "r")["profile:p"][str(plumbing)]
    source, first = inspect.getsourcelines(asyncio.futures._copy_future_state)  # type: ignore[attr-defined]
    copied = first + next(n for n, line in enumerate(source) if "dest.set_exception" in line)
    assert copied in lines
    assert found.unclosed("p", "r") == []
