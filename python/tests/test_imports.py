"""Code that an import runs is the import's, whoever came first."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Workspace


def test_two_lazy_imports_at_once_leave_both_profiles_without_its_lines(workspace: Workspace) -> None:
    workspace.write("late.py", "import meeting\nmeeting.barrier.wait(0.2)\nvalue = 1\n\ndef use():\n    return value\n")
    workspace.write(
        "meeting.py",
        """
        class Barrier:
            def wait(self, seconds):
                import time
                time.sleep(seconds)

        barrier = Barrier()

        def work():
            import late
            return late.use()
        """,
    )
    outcome = workspace.run(
        """
        import threading, meeting, playtrace_agent

        def run(slug):
            with playtrace_agent.trace(slug):
                meeting.work()

        threads = [threading.Thread(target=run, args=(slug,)) for slug in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        """
    )
    contexts = outcome.wrote.contexts()
    assert contexts["profile:a"] == contexts["profile:b"] == {"late.py": [6], "meeting.py": [9, 10]}
    assert contexts["import"] == {"late.py": [1, 2, 3, 5], "meeting.py": [3, 4]}


def test_a_failing_import_fails_as_ever(workspace: Workspace) -> None:
    workspace.write("bad.py", "x = 1\nraise ValueError('no')\n")
    outcome = workspace.run(
        """
        import importlib, traceback, playtrace_agent

        with playtrace_agent.trace("p"):
            try:
                import bad
            except ValueError as error:
                print([frame.name for frame in traceback.extract_tb(error.__traceback__)])
            assert playtrace_agent.current_slug() == "p"
        assert playtrace_agent.current_slug() is None
        try:
            importlib.machinery.SourceFileLoader("x", "y").exec_module()
        except TypeError as error:
            print(error)
        """
    )
    names, message = outcome.out.splitlines()
    # `importlib` cuts its own frames out of the traceback; ours has none to cut.
    assert names == "['<module>', '<module>']"
    assert "module" in message
    assert outcome.wrote.contexts() == {"import": {"bad.py": [1, 2]}}


def test_importing_again_in_a_later_run_is_that_runs(workspace: Workspace) -> None:
    workspace.write("late.py", "value = 1\n")
    outcome = workspace.run(
        """
        import importlib, sys, playtrace_agent

        for run in ("r1", "r2"):
            with playtrace_agent.trace("p", run):
                import late
                sys.modules.pop("late")
        """
    )
    for run in ("r1", "r2"):
        assert outcome.wrote.ledger_lines("p", run) == {"import": {"late.py": [1]}}


def test_functions_called_by_an_import_are_reported_after_they_were_silenced(workspace: Workspace) -> None:
    workspace.write("shared.py", "def f():\n    return 1\n")
    workspace.write("late.py", "import shared\nvalue = shared.f()\n")
    outcome = workspace.run(
        """
        import shared, playtrace_agent

        with playtrace_agent.trace("p"):
            for _ in range(500):
                shared.f()
            import late
            shared.f()
        """
    )
    assert outcome.wrote.contexts() == {
        "profile:p": {"shared.py": [2]},
        "import": {"late.py": [1, 2], "shared.py": [2]},
    }
