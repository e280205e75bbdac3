"""The engine on top of coverage.py: work that goes on elsewhere, or later, is traced there, whoever comes between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import coverage
import pytest
from engine_app import ASH, CEDAR, DOGWOOD, ENGINE, prepare
from judged import judge

if TYPE_CHECKING:
    from conftest import Workspace

#: A loop that serves all, as an app has one for its asynchronous clients.
LOOP = """
from client import *
import asyncio, contextvars

loop = asyncio.new_event_loop()
serving = threading.Thread(target=loop.run_forever)
serving.start()


def stop():
    loop.call_soon_threadsafe(loop.stop)
    serving.join()
    loop.close()


def settled():
    # What was given to the loop before has run, and is gone.
    done = threading.Event()
    loop.call_soon_threadsafe(done.set)
    assert done.wait(60)
"""
#: What a process pool is given. The first call holds the worker until it is told to go on.
TASKS = """
def reads(path):
    with open(path, "rb") as fifo:
        return fifo.read(1)


def plain(number):
    return number + 1


def opened(parcel):
    return parcel.content


class Parcel:
    def __init__(self, content):
        self.content = content

    def __reduce__(self):
        wrapped = self.content
        return Parcel, (wrapped,)
"""
READS, PLAIN, OPENED, INIT, REDUCE = [2, 3], [7], [11], [16], [19, 20]


@pytest.fixture
def app(workspace: Workspace) -> Workspace:
    prepare(workspace)
    workspace.write("loops.py", LOOP)
    workspace.write("tasks.py", TASKS)
    workspace.write(
        "coverage.profile-playback.ini", "[run]\nrelative_files = True\nomit = driver*.py,client.py,loops.py\n"
    )
    return workspace


def complete(app: Workspace, *slugs: str) -> bool:
    judged = [judge(app, None, slug=slug) for slug in slugs]
    assert [(one.status, one.reasons) for one in judged if one.status != "consistent"] == []
    return True


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_calls_that_wait_in_a_pool_when_their_request_ends_lose_nothing(app: Workspace, method: str) -> None:
    """They are pickled while another run is traced, and made by the worker, which traces them itself."""
    app.run(
        f"""
        import multiprocessing, os
        from concurrent.futures import ProcessPoolExecutor

        if __name__ == "__main__":
            from client import *
            import tasks
            pool = ProcessPoolExecutor(1, multiprocessing.get_context({method!r}))
            futures = []
            path = os.path.abspath("fifo")
            os.mkfifo(path)

            def many():
                futures.append(pool.submit(tasks.reads, path))
                for number in range(4):
                    futures.append(pool.submit(tasks.plain, number))
                    futures.append(pool.submit(tasks.opened, tasks.Parcel(number)))

            VIEWS["many"] = many
            assert get("many", "a") == "on"

            def other():
                with open(path, "wb") as fifo: fifo.write(b".")
                return [future.result() for future in futures] and work.cedar()

            VIEWS["other"] = other
            assert get("other", "b") == "on"
            pool.shutdown()
            assert [future.result() for future in futures[1::2]] == [1, 2, 3, 4]
        """,
        env=ENGINE,
        warnings="ignore",
    )
    assert app.look().lines("a", "tasks.py") == sorted({*READS, *PLAIN, *OPENED, *INIT, *REDUCE})
    assert app.look().lines("b", "work.py") == CEDAR
    assert app.look().lines("b", "tasks.py") == []
    assert complete(app, "a", "b")


def test_calls_of_a_multiprocessing_pool_that_wait_lose_nothing(app: Workspace) -> None:
    app.run(
        """
        import multiprocessing, os
        from client import *
        import tasks
        pool = multiprocessing.Pool(1)
        results = []
        path = os.path.abspath("fifo")
        os.mkfifo(path)

        def many():
            results.append(pool.apply_async(tasks.reads, (path,)))
            results.append(pool.map_async(tasks.plain, range(4), chunksize=1))
            results.append(pool.apply_async(tasks.opened, (tasks.Parcel(5),)))

        VIEWS["many"] = many
        assert get("many", "a") == "on"
        assert get("cedar", "b") == "on"
        with open(path, "wb") as fifo: fifo.write(b".")
        assert [result.get(60) for result in results] == [b".", [1, 2, 3, 4], 5]
        pool.close()
        pool.join()
        """,
        env=ENGINE,
        warnings="ignore",
    )
    assert app.look().lines("a", "tasks.py") == sorted({*READS, *PLAIN, *OPENED, *INIT, *REDUCE})
    assert app.look().lines("b", "work.py") == CEDAR
    assert complete(app, "a", "b")


def test_what_a_request_gives_to_a_loop_of_another_thread_is_its_own(app: Workspace) -> None:
    """While it waits for it; the loop works for two runs in turns, and for nobody."""
    app.run(
        """
        from loops import *

        async def piece(name):
            await asyncio.sleep(0)
            return getattr(work, name)()

        def calls(name):
            done = threading.Event()
            loop.call_soon_threadsafe(lambda: (getattr(work, name)(), done.set()))
            assert done.wait(60)

        VIEWS["task"] = lambda: asyncio.run_coroutine_threadsafe(piece("ash"), loop).result(60)
        VIEWS["call"] = lambda: calls("cedar")
        VIEWS["nobody"] = lambda: asyncio.run_coroutine_threadsafe(piece("dogwood"), loop).result(60)
        assert get("task", "a") == "on"
        get("nobody")
        assert get("call", "b") == "on"
        stop()
        """,
        env=ENGINE,
    )
    assert app.look().contexts() == {"profile:a": {"work.py": ASH}, "profile:b": {"work.py": CEDAR}}
    assert complete(app, "a", "b")


def test_what_a_request_leaves_in_a_loop_is_traced_to_its_end(app: Workspace) -> None:
    app.run(
        """
        from loops import *

        async def later(go):
            await go.wait()
            work.cedar()

        go = asyncio.Event()
        VIEWS["leaves"] = lambda: FUTURES.append(asyncio.run_coroutine_threadsafe(later(go), loop))
        FUTURES = []
        assert get("leaves", "a") == "on"
        began, end = inside()
        other = started("held", "b")
        assert began.wait(60)
        # While the other one is under way.
        loop.call_soon_threadsafe(go.set)
        FUTURES[0].result(60)
        end.set()
        other.join()
        FUTURES.clear()
        settled()
        stop()
        """,
        env=ENGINE,
    )
    look = app.look()
    assert look.contexts() == {"profile:a": {"work.py": CEDAR}, "profile:b": {"work.py": ASH}}
    assert [record["unit"] for record in look.of_kind("a", "left", "r")] == ["1"]
    assert complete(app, "a", "b")


def test_lines_of_what_was_left_are_written_when_it_is_over(app: Workspace) -> None:
    """Not at the end of the process, which a kill would keep from them."""
    outcome = app.run(
        """
        from loops import *
        import gc, os, signal, time

        async def later(go):
            await go.wait()
            work.cedar()

        def ledger():
            directory = os.environ["PROFILE_COVERAGE_DIR"] + "/.playtrace/a/r"
            return "".join(open(os.path.join(directory, name)).read() for name in os.listdir(directory)
                           if name.endswith(".ledger"))

        go = asyncio.Event()
        VIEWS["leaves"] = lambda: asyncio.run_coroutine_threadsafe(later(go), loop) and None
        assert get("leaves", "a") == "on"
        loop.call_soon_threadsafe(go.set)
        end = time.monotonic() + 60
        while '"t":"closed"' not in ledger():
            assert time.monotonic() < end, ledger()
            settled()
            gc.collect()
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        env=ENGINE,
        check=False,
    )
    assert outcome.code == -9, outcome
    assert complete(app, "a")
    data = coverage.CoverageData(str(app.data / "a.coverage"))
    data.read()
    assert sorted(data.lines("work.py") or []) == CEDAR


def test_a_copied_context_is_followed_into_any_thread(app: Workspace) -> None:
    """In a thread that was there before, during the request and after it, and beside other work."""
    app.run(
        """
        from client import *
        import contextvars, queue

        asked = queue.SimpleQueue()

        def serve():
            while (item := asked.get()) is not None:
                context, name, done = item
                context.run(getattr(work, name))
                work.birch()
                done.set()

        serving = threading.Thread(target=serve)
        serving.start()

        def hands_over(name, context):
            done = threading.Event()
            asked.put((context, name, done))
            assert done.wait(60)

        kept = []

        def during():
            kept.append(contextvars.copy_context())
            hands_over("ash", contextvars.copy_context())

        VIEWS["during"] = during
        assert get("during", "a") == "on"
        VIEWS["other"] = lambda: hands_over("cedar", kept.pop())
        assert get("other", "b") == "on"
        asked.put(None)
        serving.join()
        """,
        env=ENGINE,
    )
    assert app.look().contexts() == {"profile:a": {"work.py": sorted({*ASH, *CEDAR})}}
    assert complete(app, "a", "b")


def test_an_empty_context_within_traced_work_is_said_to_be_nobodys(app: Workspace) -> None:
    """As with the native engine: unless the work has executed the same lines itself."""
    app.run(
        """
        from client import *
        import contextvars

        VIEWS["lacks"] = lambda: contextvars.Context().run(work.ash)
        VIEWS["has"] = lambda: (work.ash(), contextvars.Context().run(work.ash), work.cedar())
        assert get("lacks", "a") == get("has", "b") == "on"
        """,
        env=ENGINE,
    )
    assert app.look().lines("a", "work.py") == []
    assert judge(app, None, slug="a").names("code ran in a context that knows no profile")
    assert app.look().lines("b", "work.py") == sorted({*ASH, *CEDAR})
    assert complete(app, "b")


def test_contexts_work_as_without_us(app: Workspace) -> None:
    outcome = app.run(
        """
        from client import *
        import contextvars

        variable = contextvars.ContextVar("v", default=0)
        context = contextvars.copy_context()

        def tries(*args, **named):
            try:
                return context.run(*args, **named)
            except BaseException as error:
                return type(error).__name__, str(error).partition(" <")[0]

        def fails(): raise KeyError("own")

        print(tries(), tries(1), tries(fails), tries(context.run, print), sep="\\n")
        print(tries(lambda *a, **k: (a, k), 1, two=2), tries(variable.set, 3) and context[variable], variable.get())
        import traceback
        def shows(): return [frame.name for frame in traceback.extract_stack()]
        print(tries(shows)[-2:], type(contextvars.Context.run).__name__, contextvars.Context.run.__name__)
        get("ash", "a")
        print(tries(shows)[-2:])
        """,
        env=ENGINE,
    )
    off = app.run((app.app / "driver.py").read_text(), env={"ENABLE_PROFILE_COVERAGE": None})
    assert outcome.out == off.out
    assert "['tries', 'shows'] method_descriptor run" in outcome.out


def test_a_greenlet_that_was_left_is_said_to_be_unseen(app: Workspace) -> None:
    pytest.importorskip("greenlet")
    app.run(
        """
        from client import *
        import greenlet

        kept = []

        def leaves():
            made = greenlet.greenlet(lambda: (greenlet.getcurrent().parent.switch(), work.cedar()))
            made.switch()
            kept.append(made)

        VIEWS["leaves"] = leaves
        assert get("leaves", "a") == "on"
        kept[0].switch()
        """,
        env=ENGINE,
    )
    assert judge(app, None, slug="a").names("something was left behind that may go on (a greenlet")


def test_a_threads_block_of_another_run_has_its_lines(app: Workspace) -> None:
    """In a thread whose own request is over."""
    app.run(
        """
        from client import *
        import playtrace_agent

        go, threads = threading.Event(), []

        def later():
            go.wait(60)
            with playtrace_agent.trace("b", "r"):
                work.ash()
            work.cedar()

        def starts():
            threads.append(threading.Thread(target=later))
            threads[0].start()

        VIEWS["starts"] = starts
        assert get("starts", "a") == "on"
        assert get("dogwood", "c") == "on"
        go.set()
        threads[0].join()
        """,
        env=ENGINE,
    )
    found = {slug: app.look().lines(slug, "work.py") for slug in "abc"}
    assert found == {"a": CEDAR, "b": ASH, "c": DOGWOOD}
    assert complete(app, "a", "b", "c")
