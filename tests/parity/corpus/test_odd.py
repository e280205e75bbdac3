"""Runs every odd function."""

from __future__ import annotations

import asyncio
import builtins
import sys
import threading
import types
import unittest
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import odd


class Odd(unittest.TestCase):
    """In one go each; results are checked so that nothing is run for nothing."""

    def test_straight(self) -> None:
        self.assertEqual(odd.comprehensions(4)[3], 12)
        self.assertEqual(odd.failing_comprehension(), -1)
        self.assertEqual([odd.backward_jumps(n) for n in (1, 3, 9)], [-1, -6, 45])
        kinds = ["return", "break", "raise", "none"]
        self.assertEqual([odd.finally_paths(kind) for kind in kinds], ["r", "f", "raisefraisef", "efef"])
        self.assertEqual((odd.with_exits(False), odd.with_exits(True)), (2, 2))
        values: list[Any] = [1, [1, 2], {"key": 1}, "t", None]
        self.assertEqual([odd.matched(v) for v in values], ["one", "1[2]", "1{}", "text", "nothing"])
        self.assertEqual(odd.calls_over_lines(lambda *a, **k: (len(a), len(k))), (2, 1))
        self.assertEqual(odd.decorated(5), 10)
        self.assertEqual(odd.grouped(), 2)

    def test_generators(self) -> None:
        generator = odd.delegating(4)
        self.assertEqual([next(generator), generator.send(7), next(generator)], [0, 7, 1])
        self.assertEqual(generator.throw(KeyError()), -1)
        generator.close()
        self.assertEqual(list(odd.delegating(2)), [0, 1, 3])
        abandoned = odd.echo(3)
        next(abandoned)
        del abandoned

    def test_asynchronous(self) -> None:
        self.assertEqual(asyncio.run(odd.awaiting(3)), [1, 2, 4])

    def test_often(self) -> None:
        for _ in range(500):
            odd.one_line(1)
            odd.comprehensions(3)
            odd.finally_paths("raise")
        self.assertEqual(odd.backward_jumps(900), sum(range(900)) + 900)

    def test_deep(self) -> None:
        limit = sys.getrecursionlimit()
        self.assertEqual((odd.deep(limit // 2), odd.too_deep()), (limit // 2, "too deep"))

    def test_threads(self) -> None:
        found: list[int] = []
        thread = threading.Thread(target=lambda: found.append(odd.deep(3)))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(2) as pool:
            found += pool.map(odd.one_line, range(3))
        self.assertEqual(found, [3, 1, 2, 3])

    def test_callback_of_a_pools_future(self) -> None:
        callbacks, gate = odd.Callbacks(), threading.Event()
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(gate.wait)
            future.add_done_callback(callbacks.done)
            gate.set()
        self.assertEqual(callbacks.called, [True])

    def test_made_code(self) -> None:
        self.assertEqual(odd.executed("def f(x):\n    return x * 2\n", "made"), 4)
        self.assertEqual(odd.without_globals(), [1, 2])

    def test_the_programs_own_import(self) -> None:
        original = builtins.__import__
        asked: list[str] = []

        def own(name: str, *arguments: Any) -> Any:
            asked.append(name)
            return types.ModuleType(name)

        vars(builtins)["__import__"] = own
        try:
            result = odd.first_run_elsewhere()
        finally:
            vars(builtins)["__import__"] = original
        self.assertEqual((result, asked), (6, []))

    def test_called_by_nobody(self) -> None:
        ended: list[str] = []
        things = sorted(odd.Ends(ended) for _ in range(3))
        self.assertEqual(things[0].name, "name")
        things.clear()
        self.assertEqual(ended, ["del"] * 3)


if __name__ == "__main__":
    unittest.main()
