"""`make kills`: three hundred kills, then the same with a fault each, which must be seen.

Exits non-zero where a line was lost, is where it can't be, or a shard does not open.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from tests.kills import campaign, results
from tests.kills.campaign import Outcome
from tests.kills.mutations import CUT, MUTATIONS, TAMPERING
from tests.kills.scenarios import SCENARIOS
from tests.oracle import surroundings
from tests.stress.mutations import Workshop

KILLS = 300
# So many show what is done to data.
_TAMPERED = 6


def main() -> int:
    """Run what the command line asks for; return the exit code."""
    options = _parser().parse_args()
    out: Path = options.out.resolve()
    shutil.rmtree(out / "runs", ignore_errors=True)
    scenarios = [scenario for scenario in SCENARIOS if not options.scenario or scenario.name in options.scenario]
    outcomes = []
    for scenario, kills in campaign.shares(options.kills, scenarios).items():
        outcome = campaign.run(scenario, kills, out / "runs", sys.executable, options.seed)
        _say(outcome)
        outcomes.append(outcome)
    rows = results.of_kills(outcomes, options.kills)
    if not options.no_mutations:
        for name, tamper in TAMPERING.items():
            print(f"==> {name}", flush=True)
            found = [campaign.run(CUT, _TAMPERED, out / name, sys.executable, options.seed, tamper)]
            _say(found[0], examples=2)
            rows.append(results.of_fault(name, found))
        workshop = Workshop(surroundings.REPOSITORY, out)
        for mutation in MUTATIONS:
            print(f"==> mutation {mutation.name}", flush=True)
            wheel = workshop.wheel(mutation, sys.executable)
            python = workshop.python(wheel, sys.executable, mutation.name)
            found = [campaign.run(mutation.scenario, mutation.kills, out / mutation.name, python, options.seed)]
            _say(found[0], examples=2)
            rows.append(results.of_fault(mutation.name, found))
    print(results.table(rows))
    results.write(options.results, rows)
    print(campaign.sentence(outcomes))
    return 0 if all(row.met for row in rows) else 1


def _say(outcome: Outcome, examples: int = 20) -> None:
    counts = outcome.counts
    print(
        f"{outcome.scenario.name}: kills {counts.kills} lost {counts.lost} wrong {counts.wrong} "
        f"unreadable {counts.unreadable}; cut {counts.cut}, {counts.saved} with lines that only a map had "
        f"({counts.saved_lines}), {counts.hot} with a journal to roll back; {outcome.seconds:.0f} s"
    )
    for example in counts.examples[:examples]:
        print(f"  {example}")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=surroundings.REPOSITORY / "target" / "kills")
    parser.add_argument("--results", type=Path, default=surroundings.REPOSITORY / "benches/results/kills.json")
    parser.add_argument("--scenario", action="append", choices=[scenario.name for scenario in SCENARIOS])
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=1, help="what the moments are drawn from")
    parser.add_argument("--no-mutations", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
