"""`make parity`: the same lines as coverage.py's ctrace, for the test suites of real packages."""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

from tests.parity import accepted, compare, places, results, session, suites


def main() -> int:
    """Run what is asked for; everything, unless packages are named."""
    parser = argparse.ArgumentParser(prog="python -m tests.parity", description=__doc__)
    parser.add_argument("--wheel", type=Path, required=True, help="the agent's wheel")
    parser.add_argument("--python", action="append", choices=places.VERSIONS, help="only this Python (repeatable)")
    parser.add_argument("--package", action="append", help="only this package (repeatable); writes no results")
    parser.add_argument("--resume", action="store_true", help="go on with a run with --resume that was broken off")
    arguments = parser.parse_args()
    key = "resume " + hashlib.sha256(arguments.wheel.read_bytes()).hexdigest() if arguments.resume else ""
    versions = arguments.python or list(places.VERSIONS)
    try:
        interpreters = [places.interpreter(version, arguments.wheel.resolve()) for version in versions]
        sources = places.sources(interpreters[0].python)
    except places.Missing as missing:
        print(f"parity: {missing}", file=sys.stderr)
        return 2
    packages = [p for p in suites.read() if not arguments.package or p.name in arguments.package]
    outcome = results.Outcome([], {}, accepted.read(), [], {"coverage": "7.11.3, ctrace"})
    for interpreter in interpreters:
        outcome.versions[interpreter.version] = interpreter.full_version
        for package in packages:
            _measure(package, interpreter, sources, outcome, key)
    print(results.table(outcome))
    if arguments.package or arguments.python:
        wrong = [f"not accepted: {difference}" for difference in outcome.not_accepted()] + outcome.not_measured
    else:
        results.write(outcome)
        wrong = outcome.failures()
    for line in wrong:
        print(line)
    return 1 if wrong else 0


def _measure(
    package: suites.Package, interpreter: places.Interpreter, sources: Path, outcome: results.Outcome, key: str
) -> None:
    tally = compare.Tally(package.name, interpreter.version)
    outcome.tallies.append(tally)
    outcome.versions.setdefault(package.name, package.release or "the interpreter's own")
    outcome.left_out.setdefault(package.name, {**package.left_out_tests, **package.left_out_files})
    for piece in package.pieces:
        work = _work(package, piece, interpreter, sources)
        name = f"{interpreter.version} {package.name} {' '.join(piece)}"
        try:
            watched = session.watch(interpreter.python, work, key=key)
            ran = tally.add(watched.seen, watched.bodies, package.left_out_files)
            if piece in package.apart:
                outcome.apart[name] = _apart(package, interpreter, work, watched)
        except session.NotMeasured as reason:
            outcome.not_measured.append(f"{name}: {reason}")
            print(f"{name}: not measured: {reason}", flush=True)
            continue
        tally.tests += watched.tests
        tally.failed += watched.failed
        tally.seconds += watched.seconds
        print(
            f"{name}: {watched.tests} tests ({watched.failed} failed), {ran:,} lines; so far {len(tally.lines):,}, "
            f"{len(tally.differences)} differ; {watched.seconds:.1f} s",
            flush=True,
        )
        for difference in sorted(tally.differences)[:10]:
            print(f"  {difference}", flush=True)


def _work(
    package: suites.Package, piece: tuple[str, ...], interpreter: places.Interpreter, sources: Path
) -> session.Work:
    left_out = tuple(package.left_out_tests)
    if package.runner == "cpython":
        return session.Work("cpython", piece, None, (), interpreter.stdlib, left_out)
    if not package.release:
        installed = interpreter.site_packages / package.name
        return session.Work(package.runner, ("--pyargs", *piece), None, (), installed, left_out)
    home = (sources / package.release).resolve()
    return session.Work(package.runner, piece, home, (home / package.path,), home, left_out)


def _apart(
    package: suites.Package, interpreter: places.Interpreter, work: session.Work, together: session.Watched
) -> compare.Apart:
    """Run a piece with one watcher at a time: neither changes what the other sees."""

    def lines(watched: session.Watched, who: str) -> set[compare.Line]:
        return compare.bodies_only(watched.seen[who], watched.bodies, package.left_out_files)

    first, second = (lines(session.watch(interpreter.python, work, ("ctrace",)), "ctrace") for _ in range(2))
    alone = lines(session.watch(interpreter.python, work, ("agent",)), "agent")
    return compare.compare_apart(
        first,
        second,
        {
            "the agent alone": alone,
            "ctrace beside the agent": lines(together, "ctrace"),
            "the agent beside ctrace": lines(together, "agent"),
        },
    )


if __name__ == "__main__":
    sys.exit(main())
