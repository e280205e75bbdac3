"""Work that every request does, on code objects that all of them share."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from . import leaves


def plain(profile: int, key: int) -> int:
    """Calls, branches, loops, recursion and one-liners."""
    total = leaves.plain(key)
    total += branch(profile, key)
    total += loop(profile)
    total += even(3 + profile % 2, key)
    total += leaves.LAMBDAS[key](total)
    total += leaves.ONE_LINES[key](profile)
    total += one_line(profile) + (lambda x: x + 1)(key)
    return total + closure(profile)(key)


def one_line(x: int) -> int: return x + 1  # noqa: D103  # fmt: skip


def branch(profile: int, key: int) -> int:
    """A line for each profile in a function of all of them."""
    if profile == 0:
        return key
    if profile == 1:
        return key + 1
    if profile == 2:
        return key + 2
    if profile == 3:
        return key + 3
    if profile == 4:
        return key + 4
    if profile == 5:
        return key + 5
    if profile == 6:
        return key + 6
    return key + 7


def loop(profile: int) -> int:
    """Go round often enough that the tracer silences the lines."""
    total = 0
    for number in range(40):
        if number % 2:
            total += number
        else:
            total -= profile
    return total + sum(number for number in range(5)) + len({number - profile for number in range(3)})


def even(depth: int, key: int) -> int:
    """Recurse, through another function."""
    if depth == 0:
        return leaves.recursion(key)
    return odd(depth - 1, key) + 1


def odd(depth: int, key: int) -> int:
    """The other function."""
    if depth == 0:
        return leaves.recursion(key) * 2
    return even(depth - 1, key) + 2


def closure(profile: int) -> Callable[[int], int]:
    """A function that is made anew for each request, of one code object."""

    def inner(key: int) -> int:
        if profile % 2:
            return key * profile
        return key - profile

    return inner


class Sorted:
    """Compared by C code."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __lt__(self, other: Sorted) -> bool:
        """Whether it comes first."""
        return self.number < other.number


def callbacks(profile: int, key: int) -> int:
    """C code calls Python code."""

    def order(number: int) -> int:
        return leaves.sort_key(key) - number

    def replacement(match: re.Match[str]) -> str:
        return str(leaves.replace(key) + len(match.group()))

    total = sorted(range(4), key=order)[0]
    total += len(re.sub(r"\d+", replacement, f"a{key}b{profile}"))
    total += functools.reduce(lambda a, b: a + b * profile, [1, 2, 3])
    total += min(Sorted(number) for number in (3, key, 2)).number
    return total + sum(map(one_line, range(3)))


def errors(profile: int, key: int) -> int:
    """Exceptions through frames, generators and context managers."""
    total = 0
    try:
        total += fails(profile, key)
    except KeyError:
        total += leaves.caught(key)
    with suppress(LookupError), cleaning(key) as made:
        total += made
        raise LookupError(key)
    return total


def fails(profile: int, key: int) -> int:
    """Raise, one frame further down, and tidy up."""
    try:
        return raises(profile)
    finally:
        leaves.cleaned(key)


def raises(profile: int) -> int:
    """Raise from a line of each half of the profiles."""
    if profile < 4:
        raise KeyError(profile)
    raise KeyError(-profile)


@contextmanager
def cleaning(key: int) -> Iterator[int]:
    """The exception is thrown into this generator."""
    try:
        yield key
    except LookupError:
        leaves.handler(key)
        raise
    finally:
        one_line(key)
