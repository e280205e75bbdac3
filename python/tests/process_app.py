"""The app of `process_load.py`: each request calls its function in another process, in the way that its path names."""

from __future__ import annotations

import asyncio
import atexit
import multiprocessing
import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib  # type: ignore[import-untyped]
import leaves  # type: ignore[import-not-found]
import loky  # type: ignore[import-untyped]
from process_tool import apply, put

import playtrace_agent.wsgi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIEnvironment

METHODS = ("fork", "spawn", "forkserver")
TOOL = [sys.executable, str(Path(__file__).with_name("process_tool.py"))]
# The requests' threads fork, as those of other apps do.
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)


def executor(leaf: Callable[[], str], method: str) -> str:
    """Call it in a worker of `concurrent.futures`."""
    return EXECUTORS[method].submit(leaf).result()  # type: ignore[no-any-return]


def mapped(leaf: Callable[[], str], method: str) -> str:
    """Call it in a chunk of such a worker's."""
    return one_of(EXECUTORS[method].map(apply, [leaf] * 3, chunksize=2))


def pool(leaf: Callable[[], str], method: str) -> str:
    """Call it in a worker of `multiprocessing.Pool`."""
    return POOLS[method].apply(leaf)  # type: ignore[no-any-return]


def imap(leaf: Callable[[], str], method: str) -> str:
    """Call it in such a worker, one task after the other."""
    return one_of(POOLS[method].imap_unordered(apply, [leaf] * 3))


def recycled(leaf: Callable[[], str], _method: str) -> str:
    """Call it in a worker that ends after this."""
    return RECYCLED.apply_async(leaf).get()  # type: ignore[no-any-return]


def in_loky(leaf: Callable[[], str], _method: str) -> str:
    """Call it in a worker of loky's reusable executor."""
    return LOKY.submit(leaf).result()  # type: ignore[no-any-return]


def in_joblib(leaf: Callable[[], str], _method: str) -> str:
    """Call it in joblib's workers."""
    with JOBLIB:
        return one_of(joblib.Parallel(n_jobs=2)(joblib.delayed(leaf)() for _ in range(3)))


def process(leaf: Callable[[], str], method: str) -> str:
    """Call it in a process of `multiprocessing`, and have it answer through a queue."""
    context: Any = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    work = context.Process(target=put, args=(queue, leaf))
    work.start()
    said: str = queue.get()
    work.join()
    # A process that a pool's thread forks ends with 1: `threading._shutdown` has it wait for itself (CPython 3.12).
    assert work.exitcode == 0 or method == "fork", work.exitcode
    return said


def initializer(leaf: Callable[[], str], _method: str) -> str:
    """Call it as the initializer of a pool."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), leaf) as short:
        return short.submit(str, leaf.__name__).result()


def forked(leaf: Callable[[], str], _method: str) -> str:
    """Call it in a child that nobody but this thread knows of."""
    ours, its = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(its, leaf().encode())
        finally:
            os._exit(0)
    os.close(its)
    with os.fdopen(ours) as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return said


def program(leaf: Callable[[], str], how: str) -> str:
    """Call it in a program, which calls it as `how` says."""
    return subprocess.check_output([*TOOL, how, leaf.__name__], text=True)


def clean(leaf: Callable[[], str], _method: str) -> str:
    """Call it in a program that gets no environment."""
    return subprocess.check_output([*TOOL, "plain", leaf.__name__], text=True, env={})


def shell(leaf: Callable[[], str], _method: str) -> str:
    """Call it in a program that a shell starts, in a pipeline."""
    command = " ".join([*TOOL, "plain", leaf.__name__])
    return subprocess.check_output(f"cd / && X=1 {command} | cat", text=True, shell=True)


def env(leaf: Callable[[], str], _method: str) -> str:
    """Call it in a program that another one starts."""
    return subprocess.check_output(["env", "X=1", *TOOL, "plain", leaf.__name__], text=True)


def coroutine(leaf: Callable[[], str], _method: str) -> str:
    """Call it in a program that a loop starts and waits for."""

    async def start() -> str:
        work = await asyncio.create_subprocess_exec(*TOOL, "plain", leaf.__name__, stdout=subprocess.PIPE)
        said, _ = await work.communicate()
        return said.decode()

    return asyncio.run(start())


def loop(leaf: Callable[[], str], method: str) -> str:
    """Call it in a worker that a loop hands it to and waits for."""

    async def wait() -> str:
        said: str = await asyncio.get_running_loop().run_in_executor(EXECUTORS[method], leaf)
        return said

    return asyncio.run(wait())


def posix(leaf: Callable[[], str], _method: str) -> str:
    """Call it in a program that `os.posix_spawn` starts."""
    argv = [*TOOL, "silent", leaf.__name__]
    status = os.waitpid(os.posix_spawn(argv[0], argv, {"LANG": "C"}), 0)[1]
    return leaf.__name__ if status == 0 else f"{status}"


def system(leaf: Callable[[], str], _method: str) -> str:
    """Call it in a program that `os.system` starts."""
    status = os.system(" ".join([*TOOL, "silent", leaf.__name__]))
    return leaf.__name__ if status == 0 else f"{status}"


def daemon(leaf: Callable[[], str], _method: str) -> str:
    """Call it in a daemon. It has the other end of the pipe as long as it lives."""
    ours, its = os.pipe()
    with os.fdopen(ours) as pipe:
        try:
            subprocess.run([*TOOL, "daemon", leaf.__name__, str(its)], check=True, pass_fds=[its])
        finally:
            os.close(its)
        return pipe.read()


def one_of(said: Iterable[str]) -> str:
    """Return what all of them are."""
    (each,) = set(said)
    return each


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """Answer with what the function said, and by which process."""
    path = environ["PATH_INFO"]
    answer = "done"
    if path != "/ready":
        _, way, method, name = path.split("/")
        answer = f"{globals()[way](getattr(leaves, name), method)} {os.getpid()}"
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield answer.encode()


JOBLIB = threading.Lock()
traced = playtrace_agent.wsgi.TraceMiddleware(app)
# Made, and their first workers started, before there are threads: what forks later does not count on them.
EXECUTORS: dict[str, Any] = {
    method: ProcessPoolExecutor(2, multiprocessing.get_context(method)) for method in METHODS
}
POOLS: dict[str, Any] = {method: multiprocessing.get_context(method).Pool(2) for method in METHODS}
RECYCLED: Any = multiprocessing.get_context("forkserver").Pool(2, maxtasksperchild=1)
LOKY: Any = loky.get_reusable_executor(max_workers=2, timeout=300)
atexit.register(lambda: [pool.terminate() for pool in (*POOLS.values(), RECYCLED)])
for each in (*EXECUTORS.values(), LOKY):
    each.submit(int).result()
