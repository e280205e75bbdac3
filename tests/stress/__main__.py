"""`make stress`: every scenario at full length, then the mutations, on the Python that runs this.

Exits non-zero where a row is not met, or could not be measured for want of what `requirements/` names.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from pathlib import Path

from tests.oracle import surroundings
from tests.stress import catalog, processes, pythons, results
from tests.stress.catalog import Scenario
from tests.stress.faults import FAULTS
from tests.stress.mutations import MUTATIONS, Mutation, Workshop
from tests.stress.scenarios import Outcome, Stress

_KNOWN = {scenario.name: scenario for scenario in catalog.ALL}
_FAULTS = {mutation.name: mutation for mutation in (*MUTATIONS, *FAULTS)}


def main() -> int:
    """Run what the command line asks for."""
    options = _parser().parse_args()
    # What a shell script starts with `&` ignores Ctrl-C, and so would the servers that are stopped by it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    out: Path = options.out.resolve()
    shutil.rmtree(out / "runs", ignore_errors=True)
    bench = Bench(out, options.verdicts)
    if not options.only_mutations and not options.mutation:
        for name, scenario in _KNOWN.items():
            if not options.scenario or name in options.scenario:
                bench.measure(scenario, options.requests or scenario.requests)
    if not options.no_mutations:
        for name, mutation in _FAULTS.items():
            if name in options.mutation or not (options.mutation or (options.again and not mutation.on_other)):
                bench.mutate(mutation)
        for name in processes.mutations():
            if name in options.mutation or not (options.mutation or options.again):
                bench.mutate_processes(name)
    print(results.table(bench.rows))
    # A part of it leaves what is known of the rest.
    part = options.scenario or options.mutation or options.no_mutations or options.only_mutations or options.again
    results.write(options.results, bench.rows, bench.version, add=bool(part))
    return 0 if all(row.met or row.excused for row in bench.rows) else 1


class Bench:
    """Runs scenarios and collects rows."""

    def __init__(self, out: Path, most_verdicts: int | None) -> None:
        self.out = out
        self.most_verdicts = most_verdicts
        self.version = pythons.version(sys.executable)
        self.rows: list[results.Row] = []
        self.stress = self._stress(sys.executable)
        self.workshop = Workshop(surroundings.REPOSITORY, out)

    def _stress(self, python: str, label: str = "") -> Stress:
        out, redis = self.out / "runs" / (label or self.version), surroundings.redis_server()
        return Stress(out, python, redis, self.version, most_verdicts=self.most_verdicts)

    def measure(self, scenario: Scenario, count: int) -> None:
        """Run a scenario, if that can be, and add its rows."""
        if not self._lacks(scenario, f"{scenario.name} {self.version}"):
            self.rows += results.of_scenario(self.run(scenario, count), scenario.requests)

    def _lacks(self, scenario: Scenario, row: str) -> bool:
        """Say, also in the results, what this Python lacks for a scenario, if it does."""
        missing = pythons.missing(sys.executable, scenario.needs)
        reasons = [f"{name} is not installed" for name in missing]
        if not pythons.does(sys.executable, scenario.granularity):
            reasons.append(f"this agent does not know the granularity {scenario.granularity!r}")
        if reasons:
            why = f"{', '.join(reasons)} (CPython {self.version})"
            print(f"{row}: not run: {why}", flush=True)
            excused = len(missing) == len(reasons) and set(missing) <= set(catalog.BY_HAND)
            self.rows.append(results.of_what_was_not_run(row, why, excused=excused))
        return bool(reasons)

    def run(self, scenario: Scenario, count: int) -> Outcome:
        """Run a scenario and say what came of it."""
        if scenario.processes:
            return _said(scenario.name, self.processes(count))
        return _said(scenario.name, self.stress.run(scenario, count))

    def processes(self, count: int, mutation: str = "") -> Outcome:
        """Run the load whose requests hand their work to other processes."""
        return processes.run(self.out / "runs" / "processes", catalog.PROCESSES, self.version, count, mutation)

    def mutate(self, mutation: Mutation) -> None:
        """Make a mutated agent, and run it and the right one under the load that shows it."""
        print(f"==> mutation {mutation.name}", flush=True)
        if self._lacks(mutation.scenario, f"mutation {mutation.name} {self.version}"):
            return
        base, name = sys.executable, f"{mutation.name}-{self.version}"
        if mutation.is_python:
            edited = self.workshop.edited(mutation, base, name)
        else:
            edited = self.workshop.python(self.workshop.wheel(mutation, base), base, name)
        count = mutation.scenario.requests
        control = _said("control", self.stress.run(mutation.scenario, count))
        caught = _said("mutant", self._stress(edited, name).run(mutation.scenario, count, mutant=True), mutation.says)
        self.rows += results.of_mutation(mutation.name, caught, control, mutation.says)

    def mutate_processes(self, mutation: str) -> None:
        """Run that load with an agent with one fault, which is put in at run time, and with the right one."""
        print(f"==> mutation {mutation}", flush=True)
        control = _said("control", self.processes(processes.FEW))
        caught = _said("mutant", self.processes(processes.FEW, mutation))
        self.rows += results.of_mutation(mutation, caught, control)


def _said(what: str, outcome: Outcome, says: str = "") -> Outcome:
    counts = outcome.counts
    print(f"{what}, CPython {outcome.python}, {outcome.seconds:.0f} s")
    print(f"requests {counts.requests} overlapping {counts.overlapping} wrong {counts.wrong} lost {counts.lost}")
    few = 3 if what == "mutant" else None
    examples = counts.examples[:few]
    if outcome.verdicts is not None:
        print(outcome.verdicts)
        examples += (results.told(outcome, says) or outcome.verdicts.reasons)[: few or 40]
    for example in examples:
        print(f"  {example}")
    sys.stdout.flush()
    return outcome


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=surroundings.REPOSITORY / "target" / "stress")
    parser.add_argument("--results", type=Path, default=surroundings.REPOSITORY / "benches/results/stress.json")
    only = "only this one; can be repeated"
    parser.add_argument("--scenario", action="append", default=[], choices=list(_KNOWN), help=only)
    parser.add_argument("--requests", type=int, help="so many in each scenario")
    parser.add_argument("--verdicts", type=int, help="so many runs in each scenario are judged, not all")
    again = "another Python's turn: of the mutations those that depend on the interpreter; results are added"
    parser.add_argument("--again", action="store_true", help=again)
    parser.add_argument("--no-mutations", action="store_true")
    parser.add_argument("--only-mutations", action="store_true")
    faults = [*_FAULTS, *processes.mutations()]
    parser.add_argument("--mutation", action="append", default=[], choices=faults, help=only)
    return parser


if __name__ == "__main__":
    sys.exit(main())
