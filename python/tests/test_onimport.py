"""The agent changes a module when somebody imports it, and imports nothing for that by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Workspace

LOGGED = ("asyncio", "multiprocessing", "rq", "redis")


def test_a_web_app_that_never_uses_rq_does_not_import_it(workspace: Workspace) -> None:
    # `logging` asks `asyncio` and `multiprocessing` for each record once they are there.
    outcome = workspace.run(
        f"""
        import sys
        from flask import Flask
        import playtrace_agent.flask
        app = Flask("app")
        before = set(sys.modules)
        playtrace_agent.flask.init_app(app)
        app.wsgi_app
        print([name for name in {LOGGED!r} if name in set(sys.modules) - before], app.wsgi_app.__class__.__name__)
        """,
        warnings="default",
    )
    assert outcome.out == "[] TraceMiddleware\n"


def test_rq_is_changed_when_it_is_imported(workspace: Workspace) -> None:
    outcome = workspace.run(
        """
        import sys
        import playtrace_agent.rq
        from playtrace_agent import runtime
        runtime.start("web")
        for _ in range(2):
            playtrace_agent.rq.install_queue_if_present()
        print("rq" in sys.modules)
        from rq.job import Job
        from rq import Queue
        wrapped = Queue.enqueue_call.__wrapped__
        print(hasattr(wrapped, "__wrapped__"), hasattr(Job.create.__func__, "__wrapped__"))
        playtrace_agent.rq.install_queue_if_present()
        print(Queue.enqueue_call.__wrapped__ is wrapped)
        """,
        warnings="default",
    )
    assert outcome.out == "False\nFalse True\nTrue\n"
    [boot] = workspace.data.glob(".playtrace/.boot/*")
    # Said before anybody imported it: the doctor asks whether a web process can tag jobs.
    said = [line for line in boot.read_text().splitlines() if '"hooks"' in line]
    assert len(said) >= 2
    assert all('"hooks":["rq-queue"]' in line for line in said), said


def test_hooks_of_before_the_agent_was_on_are_told(workspace: Workspace) -> None:
    """And what is put in place with it is never left out: somebody may look as soon as there is a record."""
    workspace.run(
        """
        from playtrace_agent import runtime
        runtime.tell_setup("early")
        runtime.start("web", hooks=lambda: runtime.tell_setup("late"))
        """
    )
    [boot] = workspace.data.glob(".playtrace/.boot/*")
    said = [line for line in boot.read_text().splitlines() if '"hooks"' in line]
    assert said
    assert all('"hooks":["early","late"]' in line for line in said), said


def test_hooks_are_told_where_nothing_comes_with_the_agent(workspace: Workspace) -> None:
    workspace.run(
        """
        from playtrace_agent import runtime
        runtime.tell_setup("early")
        runtime.start("web")
        """
    )
    [boot] = workspace.data.glob(".playtrace/.boot/*")
    assert '"hooks":["early"]' in boot.read_text()


def test_two_that_wait_for_one_module_both_change_it(workspace: Workspace) -> None:
    workspace.write("awaited.py", "made = 1\n")
    outcome = workspace.run(
        """
        import importlib, sys
        from playtrace_agent import onimport
        told = []
        for name in ("first", "second"):
            onimport.install({"awaited": lambda module, name=name: told.append((name, module.made))})
        import awaited
        print(told)
        del told[:]
        importlib.reload(awaited)
        print(told)
        """
    )
    both = "[('first', 1), ('second', 1)]\n"
    assert outcome.out == both * 2
