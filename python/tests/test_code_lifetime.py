"""Code objects come and go: an app may compile for each request, and the agent must not keep what nobody else has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Workspace

COMPILES = """
    import sys


    def compiled(number):
        lines = ["def made(n):", *(f"    n += {part}" for part in range(20)), "    return n"]
        space = {}
        exec(compile("\\n".join(lines), __file__.replace("compiles", "generated"), "exec"), space)
        return space["made"](number)
"""


def test_code_that_is_compiled_for_each_request_does_not_grow(workspace: Workspace) -> None:
    workspace.write("compiles.py", COMPILES)
    workspace.write("generated.py", "# stands for what is compiled\n")
    outcome = workspace.run(
        """
        import gc
        import sys
        import playtrace_agent
        import compiles

        def blocks():
            for number in range(3000):
                with playtrace_agent.trace("p", "r"):
                    compiles.compiled(number)
            gc.collect()
            return sys.getallocatedblocks()

        blocks()
        before = blocks()
        after = blocks()
        # Kept, each of the 3,000 would be some ten blocks of memory.
        print(after - before > 10_000)
        """
    )
    assert outcome.out == "False\n"
    found = workspace.look().ledger_lines("p", "r")
    assert found["profile:p"]["generated.py"] == [*range(1, 23)]


def test_code_whose_address_is_used_again_is_not_taken_for_another(workspace: Workspace) -> None:
    """Each round's function is one of another file; its code object often stands where an earlier one stood."""
    outcome = workspace.run(
        """
        import playtrace_agent
        from pathlib import Path

        here = Path(__file__).parent
        for number in range(2500):
            name = here / f"made_{number % 50}.py"
            space = {}
            source = "\\n" * (number % 50) + "def made():\\n    return 1\\n"
            exec(compile(source, str(name), "exec"), space)
            with playtrace_agent.trace("p", "r"):
                space["made"]()
        """
    )
    assert outcome.code == 0
    found = workspace.look().ledger_lines("p", "r")["profile:p"]
    assert found == {f"made_{number}.py": [number + 2] for number in range(50)}


REVIVED = """
    import sys
    import types
    import weakref
    from pathlib import Path

    import playtrace_agent

    HERE = Path(__file__).parent
    COUNT = 1100
    refs = []
    revived = {}


    def compiled(number, slug, times=1):
        # Each has two lines of its own.
        space = {}
        source = "\\n" * (3 * number) + "def made():\\n    one = 1\\n    return one\\n"
        exec(compile(source, str(HERE / "made.py"), "exec"), space)
        with playtrace_agent.trace(slug, "r"):
            for _ in range(times):
                space["made"]()
        return space["made"].__code__


    def own_lines(numbers):
        return sorted(line for number in numbers for line in (3 * number + 2, 3 * number + 3))


    def run(code, slug):
        with playtrace_agent.trace(slug, "r"):
            types.FunctionType(code, {})()
"""


@pytest.mark.parametrize("times", [1, 500])
@pytest.mark.parametrize("when", ["at once", "later"])
def test_code_that_is_revived_while_other_code_goes(workspace: Workspace, times: int, when: str) -> None:
    """The end of one code object calls the app, which finds another one that was about to go, and runs it."""
    workspace.write("driver_revive.py", REVIVED)
    outcome = workspace.run(
        f"""
        from driver_revive import *

        def gone(ref):
            for number, other in enumerate(refs):
                code = other()
                if code is not None and number not in revived:
                    revived[number] = code
                    if {when == "at once"}:
                        run(code, "q")

        for number in range(COUNT):
            code = compiled(number, "p", {times})
            refs.append(weakref.ref(code, gone))
        del code
        while not revived:
            compiled(COUNT, "p")
        for code in [*revived.values()] if {when == "later"} else []:
            run(code, "q")
        print(own_lines(revived))
        """
    )
    found = workspace.look().ledger_lines("q", "r")
    assert found["profile:q"]["made.py"] == json.loads(outcome.out)
    assert len(json.loads(outcome.out)) > 500


def test_code_that_is_revived_when_a_constant_of_other_code_goes(workspace: Workspace) -> None:
    workspace.write("driver_revive.py", REVIVED)
    outcome = workspace.run(
        """
        from driver_revive import *

        class Constant:
            def __del__(self):
                for number, other in enumerate(refs):
                    code = other()
                    if code is not None and number not in revived:
                        revived[number] = code

        for number in range(COUNT):
            code = compiled(number, "p")
            if number == COUNT // 2:
                code = code.replace(co_consts=(*code.co_consts, Constant()))
                run(code, "p")
            else:
                refs.append(weakref.ref(code))
        del code
        while not revived:
            compiled(COUNT, "p")
        for code in revived.values():
            run(code, "q")
        print(own_lines(number + (number >= COUNT // 2) for number in revived))
        """
    )
    found = workspace.look().ledger_lines("q", "r")
    assert found["profile:q"]["made.py"] == json.loads(outcome.out)
    assert len(json.loads(outcome.out)) > 500


def test_code_that_is_watched_and_goes_does_not_stay(workspace: Workspace) -> None:
    """A weak reference keeps nothing: it dies, and says so."""
    workspace.write("driver_revive.py", REVIVED)
    outcome = workspace.run(
        """
        from driver_revive import *

        went = []
        for number in range(3 * COUNT):
            refs.append(weakref.ref(compiled(number, "p"), went.append))
        print(len(went) > COUNT, all(ref() is None for ref in went))
        """
    )
    assert outcome.out == "True True\n"
    found = workspace.look().ledger_lines("p", "r")["profile:p"]["made.py"]
    assert found == sorted(line for number in range(3300) for line in (3 * number + 2, 3 * number + 3))
