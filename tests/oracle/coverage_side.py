"""coverage.py inside one process of the oracle, and the rule by which its lines get their context.

The rule, the same that playtrace follows: **a line executed while an import is running (inside a loader's
`exec_module`), functions it calls included, belongs to `import`**. Other lines belong to the profile while
one of its requests or jobs is running, and to `untraced` else. A script that is run as `__main__` is not
imported: its lines are the profile's.

coverage.py knows one context per process at a time, so everything measured here happens one thing after
the other: one request, one job. Threads that a job starts count as that job.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import coverage

# Where the loaders of source and of compiled files have their `exec_module` from.
_LOADER: Any = importlib.import_module("importlib._bootstrap_external")._LoaderBasics

IMPORT = "import"
UNTRACED = "untraced"

# The oracle's own settings, from the process that starts it.
CONFIG = "PLAYTRACE_ORACLE_CONFIG"
DATA_FILE = "PLAYTRACE_ORACLE_DATA"
ROOT = "PLAYTRACE_ORACLE_ROOT"
PROFILE = "PLAYTRACE_ORACLE_PROFILE"
# Set by a measured process for the Python processes that it starts.
CHILD = "PLAYTRACE_ORACLE_CHILD"


class Recorder:
    """A running `Coverage` object and the context that its lines belong to now."""

    def __init__(self, running: coverage.Coverage, context: str) -> None:
        self._running = running
        self._root = os.environ[ROOT] + os.sep
        self._main = threading.main_thread()
        self.context = context
        running.switch_context(context)
        self._follow_imports()

    @contextmanager
    def during(self, context: str) -> Iterator[None]:
        """Credit what runs in the block to that context."""
        before = self.context
        self._switch(context)
        try:
            yield
        finally:
            self._switch(before)

    def _switch(self, context: str) -> None:
        if context != self.context:
            self._running.switch_context(context)
            self.context = context

    def _follow_imports(self) -> None:
        original = _LOADER.exec_module

        def exec_module(loader: Any, module: ModuleType) -> None:
            if not self._running._started:
                # The process is ending, and its data is being written.
                original(loader, module)
                return
            if threading.current_thread() is self._main:
                with self.during(IMPORT):
                    original(loader, module)
                return
            # The context is the process's, so that an import in one thread would take the lines of all
            # others. Installed modules run none of the measured code; for the app's own there is no right answer.
            origin = str(getattr(module, "__file__", None) or "")
            if origin.startswith(self._root):
                os.write(2, f"oracle: {origin} is imported in a thread: lines can't be told apart\n".encode())
                os._exit(70)
            original(loader, module)

        _LOADER.exec_module = exec_module


def start() -> Recorder:
    """Measure this process from now on, and the Python processes that it starts.

    The app's own configuration is used, with what measuring several processes needs besides.
    """
    running = coverage.Coverage(
        config_file=os.environ[CONFIG], data_file=os.environ[DATA_FILE], auto_data=False, messages=False
    )
    running.set_option("run:parallel", True)
    # Relative to its own directory each process would write, and they have different ones.
    running.set_option("run:relative_files", False)
    running.set_option("run:patch", ["subprocess"])
    running._auto_save = True
    running.start()
    os.environ[CHILD] = f"profile:{os.environ[PROFILE]}"
    return Recorder(running, UNTRACED)


def follow_parent() -> None:
    """In a Python process that a measured one started, once coverage.py's own patch has begun to measure it."""
    context = os.environ.get(CHILD)
    running = coverage.Coverage.current()
    if context is not None and running is not None:
        Recorder(running, context)
