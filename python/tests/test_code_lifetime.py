"""Code objects come and go: an app may compile for each request, and the agent must not keep what nobody else has."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
