"""Names and attributes that make trouble: what the app gets is what it would get without the agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from judged import judge
from twice import twice

if TYPE_CHECKING:
    from conftest import Workspace

#: What asks to be named, in ways that no name allows. `odd.py` of the app.
ODD = r"""
import threading

BAD = "bad \udc80"
asked = []


def named(name=BAD):
    def work(*args):
        return len(args)

    work.__qualname__ = name
    return work


class Text(str):
    def __getitem__(self, at):
        raise LookupError("no pieces")

    __str__ = encode = __getitem__


class Closed:
    '''Answers for nothing but its call.'''

    def __call__(self, *args):
        return len(args)

    def __getattr__(self, name):
        asked.append(name)
        raise RuntimeError(name)

    @property
    def __class__(self):
        asked.append("__class__")
        raise RuntimeError("no class")


class Numbered(threading.Thread):
    name = property(lambda self: 5, lambda self, value: None)


class Nameless(threading.Thread):
    @property
    def name(self):
        raise LookupError("no name")

    @name.setter
    def name(self, value):
        pass


class Strict(threading.Thread):
    '''Takes no attributes but those of a thread, and has no number.'''

    def __setattr__(self, key, value):
        if "playtrace" in key:
            raise AttributeError(key)
        super().__setattr__(key, value)

    @property
    def ident(self):
        raise LookupError("no number")


class Unmade(threading.Thread):
    def __init__(self):
        pass
"""


def _same(workspace: Workspace, program: str) -> None:
    workspace.write("odd.py", ODD)
    twice(
        workspace,
        f"""
import odd
from multiprocessing.pool import ThreadPool

def tell(attempt, *args):
    try:
        with playtrace_agent.trace("p", "r"):
            work.plain(1)
            print(attempt(*args), odd.asked)
    except BaseException as error:
        print(type(error).__name__, error)

def start(thread):
    thread.start()
    thread.join()
    return len(args)

odd_ones = [odd.named(), odd.named(odd.Text("text")), odd.Closed()]
{program}
""",
    )
    judged = judge(workspace, None)
    assert judged.status == "consistent", judged.reasons


def test_threads(workspace: Workspace) -> None:
    _same(
        workspace,
        """
args = []
for kind in (odd.Numbered, odd.Nameless, odd.Strict):
    tell(start, kind(target=args.append, args=(1,)))
tell(start, threading.Thread(target=args.append, args=(2,), name=odd.BAD))
tell(start, threading.Thread(target=odd.Closed(), name="closed"))
tell(start, odd.Unmade())
again = threading.Thread(target=print)
start(again)
tell(start, again)
""",
    )


def test_pools_of_threads(workspace: Workspace) -> None:
    _same(
        workspace,
        """
def submit(fn):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(fn, 1, 2).result()

def called_back(fn):
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work.plain, 1)
        future.add_done_callback(fn)
        return future.result()

def prepared(fn):
    with ThreadPoolExecutor(1, initializer=fn) as pool:
        return pool.submit(work.plain, 1).result()

def applied(fn):
    with ThreadPool(1, initializer=fn) as pool:
        return pool.apply(fn, (1, 2)), pool.map(fn, [1]), list(pool.imap(fn, [1, 2]))

for fn in odd_ones:
    for attempt in (submit, called_back, prepared, applied):
        tell(attempt, fn)
with ThreadPool(1) as pool:
    for fn in odd_ones:
        print(list(pool.imap(fn, [1, 2])))
""",
    )


def test_processes(workspace: Workspace) -> None:
    _same(
        workspace,
        """
import multiprocessing

class Named(multiprocessing.get_context("fork").Process):
    name = property(lambda self: 1 / 0)

def process(*args, kind=multiprocessing.get_context("fork").Process, **named):
    process = kind(*args, **named)
    process.start()
    process.join()
    return process.exitcode

warnings.simplefilter("ignore")
tell(process, None, work.plain, odd.BAD, (1,))
tell(lambda: process(target=work.plain, args=(1,), kind=Named))
""",
    )
