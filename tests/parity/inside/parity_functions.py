"""Which lines of a file are lines of function bodies.

The rule: a line that the compiled code of a function, lambda or comprehension reports, and that no module's and no
class's code reports. What runs while a file is imported, a ``def`` line and a one-line function on it included, is left
out: it does not depend on the work but on who imports first.
"""

from __future__ import annotations

import warnings
from inspect import CO_NEWLOCALS, CO_OPTIMIZED
from pathlib import Path
from types import CodeType


def function_lines(file: str) -> frozenset[int]:
    """The function-body lines of a file, by the compiler of the running Python; none for what is not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = compile(Path(file).read_bytes(), file, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError):
        return frozenset()
    inside: set[int] = set()
    outside: set[int] = set()
    waiting = [module]
    while waiting:
        code = waiting.pop()
        is_function = code.co_flags & CO_NEWLOCALS and code.co_flags & CO_OPTIMIZED
        (inside if is_function else outside).update(line for _, _, line in code.co_lines() if line)
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return frozenset(inside - outside)
