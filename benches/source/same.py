"""Whether two builds of the program say the same of real packages, byte for byte.

    python -m benches.source.same OLD_PROGRAM NEW_PROGRAM

`index build` to a file, the same to standard output, and with a cache that is empty and one that is full. For a
change that must change nothing but the time it takes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.source_parity import places


def main() -> int:
    """Compare; name what differs."""
    old, new = (Path(name).resolve() for name in sys.argv[1:3])
    oracle = places.oracle("3.12", "7.11")
    packages = places.packages(oracle.interpreter)
    django, sqlalchemy = packages["django"] / "django", packages["sqlalchemy"] / "sqlalchemy"
    differing = 0
    for roots in ([oracle.stdlib], [django], [sqlalchemy], [django, packages["django"]]):
        texts = [written(program, roots) for program in (old, new)]
        same = texts[0] == texts[1]
        differing += not same
        print(f"{' '.join(map(str, roots))}: {len(texts[0][0])} bytes, {'the same' if same else 'DIFFERENT'}")
    return 1 if differing else 0


def written(program: Path, roots: Sequence[Path]) -> list[bytes]:
    """What a program writes, in each of the ways."""
    with tempfile.TemporaryDirectory(prefix="source-same-") as work:
        build = [str(program), "index", "build", *map(str, roots), "--python-version", "3.12"]
        out = Path(work) / "index.json"
        texts = [subprocess.run([*build, "--no-cache"], capture_output=True, check=True).stdout]
        for way in (["--no-cache"], *[["--cache-dir", str(Path(work) / "cache")]] * 2):
            said = subprocess.run([*build, *way, "--output", str(out)], capture_output=True, check=True)
            texts += [out.read_bytes(), said.stdout.replace(str(out).encode(), b"OUT"), said.stderr]
        return texts


if __name__ == "__main__":
    sys.exit(main())
