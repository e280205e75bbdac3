"""Run a piece of a test suite while coverage.py's ctrace and the agent watch it; write what each saw.

A program of its own, for the interpreter under test: ``parity_watched.py REQUEST ANSWER``, both JSON files. The request
names the watchers: both (the very same execution is seen twice), or one of them.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

Seen = dict[str, set[int]]

#: Who may call `sys.settrace` while ctrace watches: those that start it, and doctest, which puts back what it found.
#: (The tracer function is installed at the next call, which is contextlib's after doctest.)
_HARMLESS = ("/coverage/", "/threading.py", "/doctest.py", "/contextlib.py")


class Ctrace:
    """coverage.py, read where its tracer writes: what it does to start and to stop is not part of the work."""

    def __init__(self, include: list[str]) -> None:
        import coverage

        self._coverage = coverage.Coverage(data_file=None, config_file=False, include=include)
        self._coverage.set_option("run:core", "ctrace")
        self._seen: Seen = {}
        self._tracer: object = None

    def start(self) -> None:
        """Start it, and forget what it saw of its own start."""
        self._coverage.start()
        collector: Any = self._coverage._collector
        if "CTracer" not in collector.tracer_name():
            raise SystemExit(f"coverage.py doesn't use ctrace, but {collector.tracer_name()}")
        self._tracer = sys.gettrace()
        self._seen = collector.data
        for lines in self._seen.values():
            lines.clear()

    def seen(self) -> Seen:
        """Return a copy, made without any code that could be measured."""
        return {file: set(self._seen[file]) for file in list(self._seen)}

    def is_on(self) -> bool:
        """Say whether this thread is still traced."""
        return sys.gettrace() is self._tracer

    def stop(self) -> None:
        """Stop it."""
        self._coverage.stop()


class Agent:
    """`playtrace_agent.trace("parity")` by its parts, so that ctrace sees nothing of its beginning and end."""

    def __init__(self, include: list[str], directory: Path) -> None:
        config = directory / "coverage.ini"
        config.write_text("\n    ".join(["[run]\ninclude =", *include]) + "\n", encoding="utf-8")
        self._shards = directory / "shards"
        settings = {"DIR": self._shards, "CONFIG": config, "ROOT": directory}
        os.environ["ENABLE_PROFILE_COVERAGE"] = "1"
        os.environ.update({f"PROFILE_COVERAGE_{name}": str(value) for name, value in settings.items()})
        import playtrace_agent

        self._block = playtrace_agent.trace("parity")

    def start(self) -> None:
        """Begin to trace."""
        self._block.__enter__()

    def stop(self) -> None:
        """End it."""
        self._block.__exit__(None, None, None)

    def seen(self) -> Seen:
        """Return what stands in the shards of this very process, imports included."""
        import coverage
        import playtrace_agent

        playtrace_agent.flush()
        found: Seen = {}
        for shard in self._shards.glob(f"parity.coverage.*.{os.getpid()}.*"):
            data = coverage.CoverageData(str(shard))
            data.read()
            for file in data.measured_files():
                found.setdefault(file, set()).update(data.lines(file) or ())
            data.close(force=True)
        return found


def note_settrace(found: set[str]) -> None:
    """Note who calls `sys.settrace`: that switches ctrace off, and there is nothing to compare with."""

    def hook(event: str, _arguments: tuple[Any, ...]) -> None:
        if event == "sys.settrace":
            frame = sys._getframe(1)
            if not any(part in frame.f_code.co_filename for part in _HARMLESS):
                found.add(f"{frame.f_code.co_filename}:{frame.f_lineno}")

    sys.addaudithook(hook)


def main() -> None:
    """Do what the request says."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    answer_file = Path(sys.argv[2]).absolute()
    import parity_functions
    import parity_runners

    here = str(Path(__file__).parent)
    sys.path[:] = [entry for entry in sys.path if entry != here]
    work = parity_runners.prepare(request)
    watchers = request["watchers"]
    agent = Agent(request["include"], Path(request["directory"])) if "agent" in watchers else None
    ctrace = Ctrace(request["include"]) if "ctrace" in watchers else None
    settrace: set[str] = set()
    if ctrace:
        ctrace.start()
        note_settrace(settrace)
    if agent:
        agent.start()
    try:
        counts = work()
    finally:
        # First: a block's end may collect garbage, and ctrace would see what runs then.
        seen = {"ctrace": ctrace.seen()} if ctrace else {}
        if agent:
            agent.stop()
    # Threads that are left over switch their own tracing off once ctrace has stopped: that does not count.
    called_settrace = sorted(settrace)
    if ctrace:
        if not ctrace.is_on():
            called_settrace.append("nobody knows who: the tracer was gone at the end")
        ctrace.stop()
    if agent:
        seen["agent"] = agent.seen()
    files = sorted({file for files in seen.values() for file in files})
    answer = {
        "bodies": {file: sorted(parity_functions.function_lines(file)) for file in files},
        "counts": counts,
        "settrace": called_settrace,
        "seen": {who: {file: sorted(lines) for file, lines in sorted(files.items())} for who, files in seen.items()},
    }
    answer_file.write_text(json.dumps(answer), encoding="utf-8")
    # Threads and children that a suite left behind must not hold the answer up.
    os._exit(0)


if __name__ == "__main__":
    main()
