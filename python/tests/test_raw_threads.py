"""Threads that are started without `threading`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from judged import judge
from twice import OURS, twice

if TYPE_CHECKING:
    from conftest import Workspace


def test_a_thread_of_the_low_level_module_belongs_to_what_starts_it(workspace: Workspace) -> None:
    workspace.write("work.py", "def work(lock, *, n):\n    n += 1\n    lock.release()\n")
    outcome = workspace.run(
        """
        import _thread, playtrace_agent, work
        lock = _thread.allocate_lock()
        lock.acquire()
        with playtrace_agent.trace("p", "r"):
            _thread.start_new_thread(work.work, (lock,), {"n": 1})
        lock.acquire()
        """
    )
    assert outcome.wrote.lines("p", "work.py") == [2, 3]
    judged = judge(workspace, None)
    assert judged.status == "consistent", judged.reasons


def test_such_threads_behave_as_without_us(workspace: Workspace) -> None:
    twice(
        workspace,
        """
        import _thread

        def hook(unraisable):
            # From 3.13 on, the message has the function, with its address.
            message = unraisable.err_msg.partition(" at 0x")[0]
            print(message, repr(unraisable.object).split(" at ")[0], unraisable.exc_value)
            done.release()

        sys.unraisablehook = hook
        done = _thread.allocate_lock()
        done.acquire()
        for args in ((), (5, ()), (work.plain,), (work.plain, [1]), (work.plain, (1,), 5), (work.fails, ())):
            with playtrace_agent.trace("p", "r"):
                work.plain(1)
                try:
                    number = _thread.start_new_thread(*args)
                except TypeError as error:
                    print(type(error), error)
                else:
                    done.acquire()
        """,
        but=OURS,
    )
