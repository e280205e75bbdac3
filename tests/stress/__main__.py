"""`make stress`: every scenario at full length, then the mutations.

Exits non-zero where a row is not met, or could not be measured.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from tests.oracle import surroundings
from tests.stress import processes, pythons, results, scenarios
from tests.stress.mutations import MUTATIONS, Mutation, Workshop
from tests.stress.scenarios import Outcome, Scenario, Stress

_ALL = (*scenarios.SCENARIOS, *scenarios.QUEUES, *scenarios.FINER, scenarios.PROCESSES)
_KNOWN = {scenario.name: scenario for scenario in _ALL}
# What the other Python runs; all of it is on this one.
_ON_OTHER = (scenarios.GTHREAD,)


def main() -> int:
    """Run what the command line asks for."""
    options = _parser().parse_args()
    out: Path = options.out.resolve()
    shutil.rmtree(out / "runs", ignore_errors=True)
    bench = _Bench(out, _other(options))
    if not options.only_mutations:
        for python, scenario in bench.scenarios(options.scenario):
            outcome = bench.run(python, scenario, options.requests or scenario.requests)
            bench.rows += results.of_scenario(outcome, scenario.requests)
    if not options.no_mutations:
        for mutation in MUTATIONS:
            bench.mutate(mutation)
        bench.mutate_processes()
    print(results.table(bench.rows))
    results.write(options.results, bench.rows, bench.versions)
    return 0 if all(row.met for row in bench.rows) else 1


def _other(options: argparse.Namespace) -> str | None:
    """Return the other Python, with all that it needs, where something is to run on it."""
    names = [scenario.name for scenario in _ON_OTHER]
    if options.no_mutations and options.scenario and not set(names) & set(options.scenario):
        return None
    found: str | None = options.other_python or pythons.find_other()
    if found is None:
        print(f"CPython {pythons.OTHER} is not here: it is left out. Name one with --other-python.")
        return None
    return pythons.equip(found, options.out.resolve() / f"python-{pythons.OTHER}")


class _Bench:
    """Runs scenarios on one Python or the other, and collects rows."""

    def __init__(self, out: Path, other: str | None) -> None:
        self.out = out
        self.pythons = [sys.executable, *([other] if other else [])]
        self.versions = [pythons.version(python) for python in self.pythons]
        self.rows: list[results.Row] = []
        self.stress = {python: self._stress(python, python) for python in self.pythons}
        self.workshop = Workshop(surroundings.REPOSITORY, out)

    def _stress(self, python: str, base: str, label: str = "") -> Stress:
        version = pythons.version(base)
        return Stress(self.out / "runs" / (label or version), python, surroundings.redis_server(), version)

    def scenarios(self, names: list[str]) -> list[tuple[str, Scenario]]:
        """Return what is to be run on which Python."""
        wanted = [scenario for name, scenario in _KNOWN.items() if not names or name in names]
        pairs = [(self.pythons[0], scenario) for scenario in wanted]
        pairs += [(python, scenario) for python in self.pythons[1:] for scenario in wanted if scenario in _ON_OTHER]
        asked = {scenario.granularity for scenario in wanted}
        known = {name for name in asked if pythons.does(self.pythons[0], name)}
        for name in sorted(asked - known):
            print(f"this agent does not know the granularity {name!r}: that scenario is left out")
        return [(python, scenario) for python, scenario in pairs if scenario.granularity in known]

    def run(self, python: str, scenario: Scenario, count: int) -> Outcome:
        """Run a scenario and say what came of it."""
        if scenario.processes:
            return _said(scenario.name, self.processes(count))
        return _said(scenario.name, self.stress[python].run(scenario, count))

    def processes(self, count: int, mutation: str = "") -> Outcome:
        """Run the load whose requests hand their work to other processes; this Python has all that it needs."""
        return processes.run(self.out / "runs" / "processes", scenarios.PROCESSES, self.versions[0], count, mutation)

    def mutate(self, mutation: Mutation) -> None:
        """Build a mutated agent, and run it and the right one under the load that shows it."""
        print(f"==> mutation {mutation.name}", flush=True)
        wheel = self.workshop.wheel(mutation, sys.executable)
        for base in self.pythons if mutation.on_other else self.pythons[:1]:
            version = pythons.version(base)
            name = f"{mutation.name}-{version}"
            mutant = self._stress(self.workshop.python(wheel, base, name), base, name)
            count = mutation.scenario.requests
            control = _said("control", self.stress[base].run(mutation.scenario, count))
            caught = _said("mutant", mutant.run(mutation.scenario, count))
            self.rows += results.of_mutation(mutation.name, caught, control)

    def mutate_processes(self) -> None:
        """Run that load with an agent with one fault, which is put in at run time, and with the right one."""
        for mutation in processes.mutations():
            print(f"==> mutation {mutation}", flush=True)
            control = _said("control", self.processes(processes.FEW))
            caught = _said("mutant", self.processes(processes.FEW, mutation))
            self.rows += results.of_mutation(mutation, caught, control)


def _said(what: str, outcome: Outcome) -> Outcome:
    counts = outcome.counts
    print(f"{what}, CPython {outcome.python}, {outcome.seconds:.0f} s")
    print(f"requests {counts.requests} overlapping {counts.overlapping} wrong {counts.wrong} lost {counts.lost}")
    for example in counts.examples[:3] if what == "mutant" else counts.examples:
        print(f"  {example}")
    sys.stdout.flush()
    return outcome


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=surroundings.REPOSITORY / "target" / "stress")
    parser.add_argument("--results", type=Path, default=surroundings.REPOSITORY / "benches/results/stress.json")
    parser.add_argument("--scenario", action="append", choices=list(_KNOWN), help="only this one; can be repeated")
    parser.add_argument("--requests", type=int, help="so many in each scenario")
    parser.add_argument("--other-python", help=f"a CPython {pythons.OTHER}; found by itself if it is installed")
    parser.add_argument("--no-mutations", action="store_true")
    parser.add_argument("--only-mutations", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
