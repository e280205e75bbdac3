"""Notes about jobs: whose a job is whose meta was replaced (`crates/agent/src/jobs.rs`)."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Workspace

_WORKER = """\
import os, shutil
from pathlib import Path
from playtrace_agent import runtime

runtime.start("worker")
native, root = runtime.native, Path(os.environ["PROFILE_COVERAGE_DIR"], ".playtrace")
notes = root / ".jobs"
"""


def worker(workspace: Workspace, code: str) -> list[str]:
    """What a worker's process prints."""
    return workspace.run(_WORKER + dedent(code)).out.splitlines()


def test_notes_are_read_whoever_wrote_them(workspace: Workspace) -> None:
    """A note is another name of its run's file. An older agent's is a link, or a file with a line for each part."""
    said = worker(
        workspace,
        """
        for run in ("one", "two"):
            native.enqueue("p", run, "a", "app.f", "default")
        [note] = notes.iterdir()
        said = note.read_text()
        print(said.split()[1:])
        print(native.promised_run("a"), native.promised_run("a"), list(notes.iterdir()))
        note.symlink_to("p link app.f")
        print(native.promised_run("a"), list(notes.iterdir()))
        # The last one: nobody's, rather than that of a profile with a hash for a name.
        for text in ("p r app.f", "p\\nr\\napp.f\\n", ".01234 p" + said):
            note.write_text(text)
            print(native.promised_run("a"), list(notes.iterdir()))
        """,
    )
    assert said == [
        "['p', 'two', 'app.f']",
        "('p', 'two') None []",
        "('p', 'link') []",
        "('p', 'r') []",
        "('p', 'r') []",
        "None []",
    ]


def test_notes_are_names_of_one_file(workspace: Workspace) -> None:
    """A busy queue makes no file for each job. The one may go with its run; where names can't be had, links can."""
    said = worker(
        workspace,
        """
        run = root / "p" / "r"

        def enqueue(*jobs, function="app.f"):
            for job in jobs:
                native.enqueue("p", "r", job, function, "default")

        def said():
            return len(list(run.glob("*.job")))

        enqueue("a", "b", "c")
        enqueue("d", function="app.g")
        enqueue("a")
        inodes = [note.stat().st_ino for note in notes.iterdir()]
        print(len(inodes), len(set(inodes)), said())
        shutil.rmtree(run)
        enqueue("e")
        print([native.promised_run(job) for job in "abcde"], list(notes.iterdir()), said())

        enqueue(*map(str, range(1_000)))
        inodes = {note.stat().st_ino for note in notes.iterdir()}
        print(1 < len(inodes) < 10, said())
        print({native.promised_run(str(number)) for number in range(1_000)}, said())

        [file] = run.glob("*.job")
        file.unlink()
        file.mkdir()  # no file has another name there
        enqueue("f")
        [note] = notes.iterdir()
        print(os.readlink(note), native.promised_run("f"))
        file.rmdir()

        if os.fork() == 0:
            enqueue("child")
            print(said(), flush=True)
            os._exit(0)
        os.wait()
        enqueue("parent")
        print(native.promised_run("child"), native.promised_run("parent"), said())
        """,
    )
    assert said == [
        "4 1 1",
        f"{[('p', 'r')] * 5} [] 1",
        "True 1",
        f"{ {('p', 'r')} } 1",
        "p r app.f ('p', 'r')",
        "1",
        "('p', 'r') ('p', 'r') 2",
    ]


def test_a_run_that_is_switched_off_gets_no_directory_for_its_notes(workspace: Workspace) -> None:
    """Its ledger can't be written any more, and its directory is gone: one without a ledger would pass for a run."""
    said = worker(
        workspace,
        """
        import resource, signal

        native.enqueue("p", "r", "a", "app.f", "default")
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        for attempt in range(2):
            try:
                native.enqueue("p", "r", "b", "app.f", "default")
            except Exception as error:
                print(type(error).__name__)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        shutil.rmtree(root / "p")
        try:
            native.enqueue("p", "r", "c", "app.f", "default")
        except Exception as error:
            print(type(error).__name__)
        print([native.promised_run(job) for job in "abc"], (root / "p").exists())
        """,
    )
    assert said[-1] == f"{[('p', 'r')] * 3} False"
    assert len(said) == 4
