"""Builds the site, with an environment of its own for Sphinx: `build.py --program PLAYTRACE --out DIRECTORY`.

Whatever Sphinx has to say is an error: a link to a page or a heading that is not there, a page that no other leads to.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
REQUIREMENTS = REPOSITORY / "requirements" / "docs.txt"
ENVIRONMENT = REPOSITORY / ".tools" / "docs"


def environment() -> Path:
    """The Python that has Sphinx; made anew when its requirements are others."""
    stamp = ENVIRONMENT / "made-from"
    wanted = f"{sys.version}\n{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()}\n"
    python = ENVIRONMENT / "bin" / "python"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print("==> installing Sphinx (pinned, with hashes)", flush=True)
    # This Python's pip installs: an environment that has its own takes a third longer to make.
    venv.create(ENVIRONMENT, clear=True, with_pip=False)
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python]
    pip += ["--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--require-hashes", "-r", REQUIREMENTS], check=True)
    stamp.write_text(wanted, encoding="utf-8")
    return python


def build(program: Path, out: Path, source: Path) -> int:
    """Build the site into a fresh directory; Sphinx's exit code."""
    shutil.rmtree(out, ignore_errors=True)
    sphinx: list[str | Path] = [environment(), "-m", "sphinx", "--builder", "html", "--fail-on-warning", "--quiet"]
    sphinx += ["--fresh-env", "--define", f"playtrace_program={program.resolve()}"]
    # What it remembers belongs beside the site, not into it.
    sphinx += ["--doctree-dir", out.with_name(f".{out.name}-doctrees")]
    return subprocess.run([*sphinx, source, out], check=False).returncode


def main() -> int:
    """Build, and say where the site is."""
    parser = argparse.ArgumentParser(description="Build the site of the documentation.")
    parser.add_argument("--program", type=Path, required=True, help="the built playtrace, which is asked for its help")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "out" / "docs", help="where the site goes")
    parser.add_argument("--source", type=Path, default=REPOSITORY / "docs", help="the pages (default: docs)")
    given = parser.parse_args()
    code = build(given.program, given.out, given.source)
    if code == 0:
        print(f"==> {given.out / 'index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
