"""Scripts that trace blocks of thousands of lines are killed, one of two that work for the same runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests.kills import moments
from tests.kills.check import Run, Work
from tests.kills.scenarios import GRACE_SECONDS, Bench, KillsError

from stack_services import Service  # isort: skip


@contextmanager
def running(bench: Bench) -> Iterator[Scripts]:
    """Nothing has to run: each kill has processes of its own."""
    yield Scripts(bench)


class Scripts:
    """Pairs of processes, of which one is killed."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def kill(self) -> None:
        """Start two scripts, kill one of them, and compare when the other has ended."""
        bench, runs = self.bench, self.bench.runs()
        plans = [self._plan(runs), self._plan(runs)]
        victim = bench.rng.choice([work for blocks in plans[0] for work in blocks])
        moment = bench.draw(victim)
        scripts = [self._start(index, plan) for index, plan in enumerate(plans)]
        try:

            def going_on() -> None:
                if scripts[0].process and scripts[0].process.poll() not in (None, 0):
                    scripts[0].check()

            killed = moment.wait(bench.page, bench.measured, victim.names, going_on)
            if killed != scripts[0].pid:
                raise KillsError(f"{killed} works for the script {scripts[0].pid}")
            moments.kill(killed)
            for script in scripts:
                if script.process:
                    script.process.wait(GRACE_SECONDS)
            if scripts[1].process and scripts[1].process.returncode:
                scripts[1].check()
        finally:
            for script in scripts:
                script.stop(GRACE_SECONDS)
        others = [replace(work, answered=True) for blocks in plans[1] for work in blocks]
        bench.compare(killed, [work for blocks in plans[0] for work in blocks] + others)

    def _plan(self, runs: list[Run]) -> list[list[Work]]:
        """Two threads with two blocks each; a run's blocks are in both."""
        kinds = [("huge", 1), ("long", self.bench.rng.randrange(1, 5)), ("short", 4), ("long", 2)]
        self.bench.rng.shuffle(kinds)
        works = [self._work(runs[index % len(runs)], kind, count) for index, (kind, count) in enumerate(kinds)]
        return [works[:2], works[2:]]

    def _work(self, run: Run, kind: str, count: int) -> Work:
        bench = self.bench
        return Work(bench.number(), run, bench.functions(kind, count), "trace()", answered=False)

    def _start(self, index: int, plan: list[list[Work]]) -> Service:
        bench = self.bench
        blocks = [[[*work.run, work.number, work.names] for work in works] for works in plan]
        argv = [bench.python, "-m", "tests.kills.script", json.dumps(blocks)]
        script = bench.service(f"script-{index}", argv)
        script.start()
        return script
