"""What programs see of process pools, queues and their pickling: the same as without the agent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from handover import METHODS
from twice import twice

if TYPE_CHECKING:
    from conftest import Workspace

GOODS = """
class Kept:
    def __init__(self, n):
        self.n = n

class Stubborn(Exception):
    def __init__(self, a, b):
        super().__init__(a)

class Stuck:
    def __reduce__(self):
        raise LookupError("stays here")

    def __repr__(self):
        return "<stuck>"

class Counted:
    pickled = 0

    def __getstate__(self):
        Counted.pickled += 1
        return {"pickled": Counted.pickled}

def same(thing):
    return thing

def pair(n):
    kept = Kept(n)
    return kept, kept, [kept]

def fail(kind, *args):
    raise kind(*args)

def chain():
    try:
        work.fails()
    except KeyError as error:
        raise ValueError("outer") from error

def stuck(*_):
    return Stuck()

def local():
    return lambda: 1

import work
"""
#: Frames of the agent in the text of a remote traceback, with the source below them; and addresses.
OURS = re.compile(r'  File "[^"]*playtrace_agent/[^"]*", line \d+, in \w+\n(?:    .*\n)*|0x[0-9a-f]{6,}')


@pytest.mark.parametrize("method", METHODS)
def test_pools_return_the_same(workspace: Workspace, method: str) -> None:
    workspace.write("goods.py", GOODS)
    twice(
        workspace,
        f"""
        import multiprocessing, goods
        from concurrent.futures import ProcessPoolExecutor
        warnings.simplefilter("ignore")

        def tell(call, *args):
            try:
                result = call(*args)
            except BaseException as error:
                while error is not None:
                    print(type(error).__module__, type(error).__qualname__, sorted(vars(error)), error)
                    error = error.__cause__ or error.__context__
            else:
                print(type(result), repr(result)[:9] if isinstance(result, tuple) else result)
                if isinstance(result, tuple):
                    # What is one object stays one object.
                    print(result[0] is result[1] is result[2][0], vars(result[0]))

        def main():
            context = multiprocessing.get_context({method!r})
            with playtrace_agent.trace("p"):
                work.plain(1)
                with ProcessPoolExecutor(1, mp_context=context) as executor, context.Pool(1) as pool:
                    for call in (
                        lambda *args: executor.submit(*args).result(),
                        lambda fn, *args: pool.apply(fn, args),
                        lambda fn, *args: pool.map_async(fn, args).get() if args else None,
                    ):
                        for fn, *args in (
                            (goods.same, 1), (goods.pair, 2), (goods.same, None), (goods.chain,), (goods.stuck, 1),
                            (goods.local,), (goods.fail, LookupError, "x"),
                            (goods.same, b"x" * 200_000), (work.fails,), (goods.fail, SystemError),
                        ):
                            tell(call, fn, *args)
                    counted = goods.Counted()
                    print(vars(executor.submit(goods.same, counted).result()), goods.Counted.pickled)
                    print(vars(pool.apply(goods.same, (counted,))), goods.Counted.pickled)
                    tell(executor.submit(goods.fail, goods.Stubborn, 1, 2).result)
                    tell(lambda: executor.submit(goods.same, 1).result())

        if __name__ == "__main__":
            main()
        """,
        but=OURS,
    )


def test_nothing_lives_longer(workspace: Workspace) -> None:
    """Arguments are freed when they are on their way, results when nobody has them any more."""
    workspace.write("goods.py", GOODS)
    twice(
        workspace,
        """
        import multiprocessing, goods
        from concurrent.futures import ProcessPoolExecutor

        def gone(reference):
            for _ in range(1000):
                if reference() is None:
                    return True
                time.sleep(0.01)
            return False

        def main():
            context = multiprocessing.get_context("spawn")
            queue = context.Queue()
            with playtrace_agent.trace("p"):
                work.plain(1)
                with ProcessPoolExecutor(1, mp_context=context) as executor, context.Pool(1) as pool:
                    for submit in (executor.submit, lambda fn, arg: pool.apply_async(fn, (arg,))):
                        thing = goods.Kept(1)
                        argument = weakref.ref(thing)
                        future = submit(goods.same, thing)
                        del thing
                        print("argument", gone(argument))
                        result = (future.result if hasattr(future, "result") else future.get)()
                        reference = weakref.ref(result)
                        del result, future
                        print("result", gone(reference))
                    thing = goods.Kept(1)
                    put = weakref.ref(thing)
                    queue.put(thing)
                    del thing
                    got = queue.get()
                    queue.put(2)
                    print("put", gone(put), got.n, queue.get())

        if __name__ == "__main__":
            main()
        """,
    )


def test_queues_do_the_same(workspace: Workspace) -> None:
    workspace.write("goods.py", GOODS)
    twice(
        workspace,
        """
        import multiprocessing, queue as plain, goods
        from multiprocessing import queues

        class Loud(queues.Queue):
            def _on_queue_feeder_error(self, error, obj):
                print("refused", type(error).__name__, error, obj)

        with playtrace_agent.trace("p"):
            work.plain(1)
            context = multiprocessing.get_context("spawn")
            queue = Loud(2, ctx=context)
            queue.put(goods.Stuck())
            queue.put("second")
            print(queue.get())
            queue.put(goods.Counted())
            print(vars(queue.get()), goods.Counted.pickled)
            queue.put(1)
            queue.put(2)
            caught(queue.put, 3, False)
            caught(queue.put, 3, True, 0.01)
            print(queue.get(), queue.get(), queue.empty())
            caught(queue.get, False)
            joinable = context.JoinableQueue()
            joinable.put([goods.Counted()])
            joinable.get()
            joinable.task_done()
            joinable.join()
            caught(joinable.task_done)
            queue.close()
            queue.join_thread()
            caught(queue.put, 1)
            simple = context.SimpleQueue()
            caught(simple.put, goods.Stuck())
            simple.put(goods.Counted())
            print(vars(simple.get()))
            print(queues._ForkingPickler, queues._ForkingPickler.loads(queues._ForkingPickler.dumps(5)))
        """,
        but=OURS,
    )
