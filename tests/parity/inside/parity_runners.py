"""Ways to run a piece of a test suite in this process."""

from __future__ import annotations

import importlib
import os
import random
import sys
import unittest
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Work = Callable[[], dict[str, int]]


def prepare(request: dict[str, Any]) -> Work:
    """Return the work that the request names; what runs it is imported, what it runs is not."""
    os.chdir(request["cwd"])
    sys.path[:0] = request["path"]
    random.seed(0)
    runners = {"unittest": _unittest, "cpython": _cpython, "pytest": _pytest}
    return runners[request["runner"]](request)


def _unittest(request: dict[str, Any]) -> Work:
    left_out = tuple(request["left_out"])

    def tests(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
        for test in suite:
            if isinstance(test, unittest.TestSuite):
                yield from tests(test)
            elif not test.id().startswith(left_out):
                yield test

    def work() -> dict[str, int]:
        loaded = unittest.defaultTestLoader.loadTestsFromNames(request["tests"])
        chosen = unittest.TestSuite(tests(loaded)) if left_out else loaded
        result = unittest.TextTestRunner(stream=sys.stderr, verbosity=0).run(chosen)
        return {"tests": result.testsRun, "failed": len(result.failures) + len(result.errors)}

    return work


def _cpython(request: dict[str, Any]) -> Work:
    """CPython's own tests. Those that switch tracing off themselves are skipped: ctrace would see nothing of them."""
    support: Any = importlib.import_module("test.support")
    skip = unittest.skip("it switches tracing off itself")
    for decorator in ("no_tracing", "refcount_test"):
        setattr(support, decorator, skip)
    support.use_resources = []
    return _unittest(request)


class _Counter:
    """A pytest plugin that counts."""

    counts: ClassVar[dict[str, int]] = {"tests": 0, "failed": 0}

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count a test, and a failure of it."""
        self.counts["tests"] += report.when == "call"
        self.counts["failed"] += bool(report.failed)


def _pytest(request: dict[str, Any]) -> Work:
    import pytest

    # No cache between runs, no random order, no settings of the suite's own that ask for further plugins.
    fixed = ["-q", "--tb=line", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist", "-o", "addopts="]
    left_out = [f"{'--deselect' if '::' in name else '--ignore'}={name}" for name in request["left_out"]]

    def work() -> dict[str, int]:
        pytest.main([*fixed, "-p", "no:warnings", *left_out, *request["tests"]], plugins=[_Counter()])
        return _Counter.counts

    return work
