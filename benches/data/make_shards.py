"""Write shards with coverage.py itself: run by the peer's Python, which has nothing of ours.

    python make_shards.py DIR FIRST END FILES LINES CONTEXTS_PER_SHARD CONTEXTS

Shards `FIRST` to `END` (excluded) are written. `CONTEXTS` is how many labels there are in all; each shard takes
`CONTEXTS_PER_SHARD` of them in turn.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from coverage import CoverageData


def write(dir_: Path, number: int, files: int, lines: int, per_shard: int, contexts: int) -> None:
    """Write shard `number`; the same numbers give the same content."""
    draw = random.Random(number)
    name = f".coverage.host.{10_000 + number}.X{''.join(draw.choices('abcdefghijklmnopqrstuvwxyz', k=6))}x"
    data = CoverageData(str(dir_ / name))
    # As many lines as asked for out of six times as many: numbits of 60 bytes for 80 lines.
    pool = [draw.sample(range(1, 6 * lines + 1), lines) for _ in range(256)]
    for position in range(per_shard):
        context = (number * per_shard + position) % contexts
        data.set_context(f"profile:session-{context:04}")
        chosen = {f"/srv/app/package_{file % 17}/module_{file:04}.py": draw.choice(pool) for file in range(files)}
        data.add_lines(chosen)
    data.write()
    data.close()


def main() -> None:
    """Write all of them."""
    dir_ = Path(sys.argv[1])
    first, end, files, lines, per_shard, contexts = map(int, sys.argv[2:])
    dir_.mkdir(parents=True, exist_ok=True)
    for number in range(first, end):
        write(dir_, number, files, lines, per_shard, contexts)


if __name__ == "__main__":
    main()
