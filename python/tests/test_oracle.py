"""The same lines as coverage.py's ctrace, for the same work, context by context."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Workspace

SUBJECT = '''
"""Constructs whose line events are known to be tricky."""
import contextlib
import functools


def one(x): return x + 1


double = lambda x: x * 2


def comprehensions(n):
    squares = [i * i
               for i in range(n)
               if i % 2]
    table = {i: double(i) for i in squares}
    lazy = (one(i) for i in table)
    return sum(lazy) + len({x for x in table})


def exceptions(kind):
    try:
        if kind == 0:
            return "early"
        elif kind == 1:
            raise ValueError(
                "one"
            )
        value = [1, 2][kind]
    except ValueError as error:
        return str(error)
    except IndexError:
        value = None
    else:
        value = "else"
    finally:
        done = True
    return value if done else None


def loops(n):
    total = 0
    for i in range(n):
        if i == 1:
            continue
        if i == 4:
            break
        total += i
    else:
        total = -total
    while total > 100:
        total -= 1
    return total


@contextlib.contextmanager
def managed(flag):
    try:
        yield flag
    finally:
        loops(2)


def withs():
    with managed(1) as a, \\
            managed(2) as b:
        return (a +
                b)


def patterns(value):
    match value:
        case int(): return "int"
        case [x, *rest]:
            return x
        case {"k": v}:
            return v
        case _:
            return None


def outer(n):
    @functools.lru_cache(
        maxsize=None,
    )
    def inner(k):
        return k if k < 2 else inner(k - 1) + inner(k - 2)

    class Local:
        attribute = n

        def method(self):
            return self.attribute

    return inner(n) + Local().method()


def generator(n):
    for i in range(n):
        got = yield i
        if got:
            yield got * 100
    return n


def delegating(n):
    result = yield from generator(n)
    yield result


def thrown():
    try:
        yield 1
    except KeyError:
        yield 2
    finally:
        one(1)


def longer():
    return one(
        double(
            3
        )
    )


async def coroutine(n):
    async def step(k):
        return k
    total = 0
    for i in range(n):
        total += await step(i)
    return [x async for x in agen(total)]


async def agen(n):
    for i in range(n):
        yield i


def executed():
    space = {}
    exec(compile("def f(x):\\n    return x\\ny = f(2)\\n", "made.py", "exec"), space)
    return space["y"]


def lazily():
    import lazy_part
    return lazy_part.answer()
'''

LAZY = """
from subject import one

TABLE = [one(i) for i in range(3)]


class Thing:
    size = len(TABLE)


def answer():
    return Thing.size
"""

WORK = '''
import asyncio
import subject


def first():
    subject.comprehensions(5)
    subject.exceptions(0)
    subject.exceptions(1)
    subject.loops(3)
    list(subject.delegating(2))
    subject.lazily()


def second():
    subject.one(1)
    subject.double(1)
    subject.exceptions(2)
    subject.exceptions(7)
    subject.loops(300)
    subject.withs()
    subject.patterns(1)
    subject.patterns([1, 2])
    subject.outer(5)


def third():
    subject.comprehensions(0)
    g = subject.thrown()
    next(g)
    g.throw(KeyError())
    g.close()
    g = subject.generator(3)
    next(g)
    g.send(5)
    subject.longer()
    asyncio.run(subject.coroutine(3))
    subject.executed()
    subject.patterns({"k": 1})
    subject.patterns(None)
    subject.lazily()


def shared():
    """What the first generator began, others go on with."""
    return subject.delegating(3), subject.thrown()


def resumed(pair):
    for _ in range(2):
        next(pair[0])
    next(pair[1])


def ended(pair):
    list(pair[0])
    try:
        pair[1].throw(KeyError())
    finally:
        pair[1].close()


def again():
    """Much of the same, often enough that places are silenced."""
    for _ in range(300):
        subject.one(1)
        subject.double(1)
        subject.loops(6)
        subject.exceptions(1)
        subject.comprehensions(3)
'''

PLAN = [
    "first:a",
    "again:a",
    "again:b",
    "second:b",
    "third:c",
    "again:c",
    "first:c",
    "first:d",
    "second:a",
    "third:d",
    "shared:e",
    "resumed:f",
    "ended:g",
    "again:h",
]

OURS = """
import work, playtrace_agent

pair = None
for item in PLAN:
    name, slug = item.split(":")
    with playtrace_agent.trace(slug):
        if name == "shared":
            pair = work.shared()
        elif name in ("resumed", "ended"):
            getattr(work, name)(pair)
        else:
            getattr(work, name)()
"""

ORACLE = """
import importlib._bootstrap_external as external
import json, sys
import coverage

cov = coverage.Coverage(data_file=None, config_file="coverage.profile-playback.ini")
cov.set_option("run:core", "ctrace")
cov.start()
import work

current, depth = "", 0
original = external._LoaderBasics.exec_module

def exec_module(self, module):
    global depth
    depth += 1
    if depth == 1:
        cov.switch_context("import")
    try:
        return original(self, module)
    finally:
        depth -= 1
        if depth == 0:
            cov.switch_context(current)

external._LoaderBasics.exec_module = exec_module
pair = None
for item in PLAN:
    name, slug = item.split(":")
    current = "profile:" + slug
    cov.switch_context(current)
    if name == "shared":
        pair = work.shared()
    elif name in ("resumed", "ended"):
        getattr(work, name)(pair)
    else:
        getattr(work, name)()
    current = ""
    cov.switch_context("")
cov.stop()
data = cov.get_data()
found = {}
for context in data.measured_contexts():
    data.set_query_context(context)
    files = {file: sorted(data.lines(file)) for file in data.measured_files() if data.lines(file)}
    if context and files:
        found[context] = files
json.dump(found, sys.stdout)
"""


def test_every_context_has_the_lines_that_ctrace_records(workspace: Workspace) -> None:
    workspace.write("subject.py", SUBJECT)
    workspace.write("lazy_part.py", LAZY)
    workspace.write("work.py", WORK)
    workspace.write("made.py", "def f(x):\n    return x\ny = f(2)\n")
    oracle_script = workspace.write("driver_oracle.py", f"PLAN = {PLAN!r}\n{ORACLE}")
    environment = workspace.environment({"ENABLE_PROFILE_COVERAGE": None, "COVERAGE_CORE": "ctrace"})
    done = subprocess.run(
        [sys.executable, str(oracle_script)],
        env=environment,
        cwd=workspace.app,
        capture_output=True,
        text=True,
        check=True,
    )
    expected = json.loads(done.stdout)
    outcome = workspace.run(f"PLAN = {PLAN!r}\n{OURS}")
    found = outcome.wrote.contexts()
    assert set(expected) == {"import", *(f"profile:{slug}" for slug in "abcdefgh")}
    # The line after a `return` inside an oracle's frame that switches is never measured: drivers are omitted.
    assert found == expected
    assert sum(len(lines) for files in found.values() for lines in files.values()) > 300
