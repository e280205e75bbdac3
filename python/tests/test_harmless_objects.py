"""What a program can find out about itself: frames, signatures, references, recursion."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twice import OURS, lines, twice

if TYPE_CHECKING:
    from conftest import Workspace

ALL = [*lines("plain"), *lines("fails")]


def test_tracebacks_of_traced_code_hold_no_frame_of_ours(workspace: Workspace) -> None:
    outcome = twice(
        workspace,
        """
        import asyncio

        def body():
            with playtrace_agent.trace("p"):
                work.plain(1)
                work.fails()

        caught(body)
        with playtrace_agent.trace("p"):
            print(work.stack())
            caught(work.fails)
            iterator = work.pieces()
            next(iterator)
            caught(iterator.throw, ValueError("thrown"))
            caught(lambda: list(map(work.fails, [3])))
            caught(asyncio.run, work.waits())

            async def task():
                return await asyncio.create_task(work.waits())

            caught(asyncio.run, task())
            open("fails_too.py", "w").close()
            with open("fails_too.py", "w") as file:
                file.write("import work\\nwork.fails()\\n")
            caught(__import__, "fails_too")

        def hook(args):
            print(frames(args.exc_value), args.thread.name)

        threading.excepthook = hook
        with playtrace_agent.trace("p"):
            thread = threading.Thread(target=work.fails)
            thread.start()
            thread.join()
        """,
        traced=ALL,
    )
    assert not OURS.search(outcome.out), outcome.out


def test_calls_that_are_wrapped_add_one_frame_and_no_more(workspace: Workspace) -> None:
    """A thread's first frame, a pool's call, and what starts a process: wrapped in Python, which tracebacks show."""
    outcome = twice(
        workspace,
        """
        import asyncio

        def in_thread():
            print(work.stack())

        with playtrace_agent.trace("p"):
            work.plain(1)
            thread = threading.Thread(target=in_thread)
            thread.start()
            thread.join()
            caught(thread.start)
            with ThreadPoolExecutor(1) as pool:
                print(frames(pool.submit(work.fails).exception()))
                print(pool.submit(work.stack).result())
            caught(pool.submit, work.plain, 1)
            caught(ThreadPoolExecutor(1).submit)

            async def main():
                await asyncio.to_thread(work.fails)

            caught(asyncio.run, main())
            caught(subprocess.run, ["/nonexistent/program"])
            caught(subprocess.Popen)
            caught(subprocess.Popen, ["true"], nonsense=1)
            caught(subprocess.Popen, ["true"], bufsize="x")
            caught(os.execv, "/nonexistent/program", ["x"])
            caught(os.execve, "/nonexistent/program", ["x"], {})
            caught(os.execvp, "nonexistent-program", ["x"])
            caught(os.posix_spawn, "/nonexistent/program", ["x"], {})
            caught(os.posix_spawn, 1)
            caught(os._exit, "one")
        caught(subprocess.Popen, ["/nonexistent/program"])
        caught(os.execv, 1)
        caught(os.posix_spawn, "/nonexistent/program", ["x"], {}, nonsense=1)
        """,
        but=OURS,
        traced=ALL,
    )
    for line in outcome.out.splitlines():
        # A pool's call is in a thread; from 3.13 on `subprocess` may use `os.posix_spawn`.
        two = "thread.py:_worker" in line or ("subprocess.py" in line and "posix_spawn" in line)
        assert len(OURS.findall(line)) <= (2 if two else 1), line


def test_wrapped_functions_look_like_the_originals(workspace: Workspace) -> None:
    twice(
        workspace,
        """
        with playtrace_agent.trace("p"):
            work.plain(1)
            methods = (threading.Thread.start, threading.Thread._bootstrap_inner, subprocess.Popen.__init__,
                       ThreadPoolExecutor.submit)
            functions = (os._exit, os.execv, os.execve, os.posix_spawn, os.posix_spawnp)
            for function in (*methods, *functions):
                print(function.__name__, function.__qualname__, function.__doc__)
                if "spawn" not in function.__name__:  # those have none that `inspect` understands
                    print(inspect.signature(function))
                print(inspect.isroutine(function), callable(function), inspect.iscoroutinefunction(function))
                # What a worker process gets must be what this one has.
                print(pickle.loads(pickle.dumps(function)) is function)
            for method in methods:
                print(method.__module__, inspect.getsource(method), inspect.getsourcefile(inspect.unwrap(method)))
                print(inspect.getfullargspec(inspect.unwrap(method)))
            print(inspect.signature(subprocess.Popen), inspect.signature(threading.Thread(target=print).start))
            print(inspect.getsource(work.plain), work.plain.__code__.co_code == work.plain.__code__.replace().co_code)
            print(work.plain.__code__ == work.plain.__code__.replace(), hash(work.plain.__code__.co_name) != 0)
            import dis
            print(dis.code_info(work.plain))
            dis.dis(work.plain, file=(said := io.StringIO()))
            print(said.getvalue())
        """,
        but=re.compile(r"object at 0x\w+|0x[0-9a-f]{6,}"),
    )


def test_the_loader_of_modules_looks_and_works_like_the_original(workspace: Workspace) -> None:
    twice(
        workspace,
        """
        import importlib.util
        from importlib.machinery import SourceFileLoader

        class Loader(SourceFileLoader):
            def exec_module(self, module):
                super().exec_module(module=module)

        with playtrace_agent.trace("p"):
            print(inspect.signature(SourceFileLoader.exec_module).parameters.keys())
            for loader in (SourceFileLoader("work", work.__file__), Loader("work", work.__file__)):
                module = importlib.util.module_from_spec(importlib.util.spec_from_loader("work", loader))
                loader.exec_module(module=module)
                print(module.plain(2))
                loader.exec_module(module)
            work.plain(1)
            for arguments, named in [((), {}), ((1, 2), {}), ((), {"nonsense": 1})]:
                try:
                    loader.load_module if named else SourceFileLoader.exec_module(loader, *arguments, **named)
                except TypeError as error:
                    print(error)
        """,
    )


def test_what_is_pickled_stays_the_same(workspace: Workspace) -> None:
    twice(
        workspace,
        """
        class Task:
            def __init__(self):
                self.value = work.plain(1)

        def exception():
            try:
                work.fails()
            except KeyError as error:
                return error

        with playtrace_agent.trace("p"):
            patched = (threading.Thread.start, ThreadPoolExecutor.submit)
            for value in (work.plain, work.fails, exception(), Task(), *patched):
                print(pickle.dumps(value))
            caught(pickle.dumps, contextvars.copy_context())
            caught(pickle.dumps, threading.Thread(target=work.plain))
            print(sorted(vars(threading.Thread(target=work.plain))))
            thread = threading.Thread(target=work.plain, args=(1,))
            thread.start()
            thread.join()
            print(sorted(vars(thread)))
            with ThreadPoolExecutor(1) as pool:
                future = pool.submit(work.plain, 1)
                future.result()
            print(sorted(vars(future)), sorted(vars(pool)))
            process = subprocess.Popen(["true"])
            process.wait()
            print(sorted(vars(process)), process.args)
        """,
        but=re.compile(r"object at 0x\w+"),
        traced=ALL,
    )


def test_objects_die_when_they_would(workspace: Workspace) -> None:
    """Without the collector: no reference too many, and no cycle, keeps anything of the app's alive."""
    twice(
        workspace,
        """
        class Thing:
            pass

        class Failure(Exception):
            pass

        def dead(reference):
            print(reference() is None)

        def in_pool():
            def call(thing):
                return work.plain(1)
            thing = Thing()
            references = [weakref.ref(thing), weakref.ref(call)]
            with ThreadPoolExecutor(1) as pool:
                future = pool.submit(call, thing)
                references.append(weakref.ref(future))
                future.result()
                del future, thing, call
                pool.submit(work.plain, 1).result()
                for reference in references:
                    dead(reference)

        def in_thread():
            thing = Thing()
            thread = threading.Thread(target=lambda it: None, args=(thing,))
            references = [weakref.ref(thing), weakref.ref(thread)]
            thread.start()
            thread.join()
            del thing, thread
            for reference in references:
                dead(reference)

        def here():
            process = subprocess.Popen(["true"])
            process.wait()
            reference = weakref.ref(process)
            del process
            dead(reference)
            iterator = work.pieces()
            next(iterator)
            reference = weakref.ref(iterator)
            try:
                iterator.close()
            except KeyError:
                pass
            del iterator
            dead(reference)
            function = eval("lambda thing: thing")
            thing = Thing()
            function(thing)
            references = [weakref.ref(function), weakref.ref(thing)]
            del function, thing
            for reference in references:
                dead(reference)
            try:
                raise Failure
            except Failure as error:
                reference = weakref.ref(error)
            dead(reference)

        gc.collect()
        gc.disable()
        for _ in range(3):
            with playtrace_agent.trace("p"):
                in_pool()
                in_thread()
                here()
        """,
    )


def test_no_garbage_for_the_collector(workspace: Workspace) -> None:
    twice(
        workspace,
        """
        def go(times):
            for n in range(times):
                with playtrace_agent.trace("p"):
                    work.plain(n)
                    thread = threading.Thread(target=work.plain, args=(n,))
                    thread.start()
                    thread.join()
                    with ThreadPoolExecutor(1) as pool:
                        pool.submit(work.plain, n).result()
                    subprocess.Popen(["true"]).wait()

        go(2)
        gc.collect()
        gc.disable()
        before = len(gc.get_objects())
        go(10)
        print(gc.collect())
        after = len(gc.get_objects())
        print("grown" if after - before > 20 else "steady")
        gc.freeze()
        go(2)
        gc.unfreeze()
        print(gc.collect())
        """,
    )


def test_the_recursion_limit_is_where_it_was(workspace: Workspace) -> None:
    """In the calling thread exactly; in threads and pools, the frames of the wrappers count: two at most."""
    outcome = twice(
        workspace,
        """
        depths = []
        with playtrace_agent.trace("p"):
            for limit in (1000, 150, 3000):
                sys.setrecursionlimit(limit)
                print(work.depth())
            thread = threading.Thread(target=lambda: depths.append(work.depth()))
            thread.start()
            thread.join()
            with ThreadPoolExecutor(1) as pool:
                depths.append(pool.submit(work.depth).result())

            def at_the_end(n=0):
                # Whatever of the agent is called here has no frame left to run in.
                try:
                    at_the_end(n + 1)
                except RecursionError:
                    pass
                try:
                    threading.Thread(target=work.plain, args=(1,)).start()
                except RecursionError:
                    pass

            sys.setrecursionlimit(120)
            at_the_end()
            sys.setrecursionlimit(3000)
            import fractions  # an import at the limit must not leave the agent in a bad state
            work.plain(1)
        print("depths", *depths)
        """,
        but=re.compile(r"depths .*"),
        traced=[*lines("depth")],
    )
    [said] = [line for line in outcome.out.splitlines() if line.startswith("depths")]
    # 3000 less what `threading` itself needs: 5 and 6 frames.
    in_thread, in_pool = map(int, said.split()[1:])
    assert 3000 - 5 - 2 <= in_thread <= 3000 - 5
    assert 3000 - 6 - 2 <= in_pool <= 3000 - 6
    assert outcome.wrote.unclosed("p") == []


def test_contexts_are_the_programs(workspace: Workspace) -> None:
    twice(
        workspace,
        """
        import asyncio

        variable = contextvars.ContextVar("variable", default=0)

        def sets(value):
            variable.set(value)
            return work.plain(value)

        with playtrace_agent.trace("p"):
            context = contextvars.copy_context()
            print(context.run(sets, 1), variable.get(), context[variable])
            empty = contextvars.Context()
            print(empty.run(work.plain, 2), list(empty))
            print([name for name in (v.name for v in contextvars.copy_context()) if name != "playtrace_agent"])
            with ThreadPoolExecutor(1) as pool:
                # A pool's thread keeps what its calls set.
                print(pool.submit(sets, 5).result(), pool.submit(variable.get).result())
            print(playtrace_agent.current_slug() in ("p", None))

            async def child():
                variable.set(7)
                return work.plain(7)

            async def main():
                return await asyncio.create_task(child()), variable.get()

            print(asyncio.run(main()))
        print(playtrace_agent.current_slug(), variable.get())
        """,
    )


def test_what_is_reachable_no_more_is_freed_when_the_app_allows_it(workspace: Workspace) -> None:
    """A unit's end collects cycles where something still has its token: not where the app switched that off."""
    twice(
        workspace,
        """
        class Loop:
            def __init__(self):
                self.itself = self

            def __del__(self):
                print("freed")

        gc.disable()
        with playtrace_agent.trace("p"):
            work.plain(1)
            Loop()
            kept = contextvars.copy_context()
        print("after the block")
        gc.enable()
        gc.collect()
        """,
    )
