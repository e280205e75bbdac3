"""Work that goes on in greenlets, with turns for others in the middle of functions that all requests share."""

from __future__ import annotations

from collections.abc import Callable

from tests.stress.green import here

from . import leaves, plain


def greenlet(profile: int, key: int) -> int:
    """A greenlet that makes a greenlet."""

    def outer(key: int) -> int:
        total = with_pauses(profile)
        total += here().spawn_later(leaves.in_inner_greenlet, key)
        here().pause()
        return total + leaves.in_greenlet(key)

    return here().spawn(outer, key)


def with_pauses(profile: int) -> int:
    """Go round a loop while others are in the same loop."""
    total = 0
    for number in range(6):
        here().pause()
        if number % 2:
            total += number * profile
        else:
            total -= profile
    return total


def green_pool(profile: int, key: int) -> int:
    """A pool of greenlets that all requests share."""

    def work(number: int) -> int:
        here().pause()
        return leaves.in_green_pool(key) + plain.branch(profile, number)

    return here().in_pool(work, range(3))


def native(profile: int, key: int) -> int:
    """A thread of the system that serves all requests."""
    return here().natively(in_native, profile, key) + with_pauses(profile)


def in_native(profile: int, key: int) -> int:
    """What it does."""
    return leaves.in_native(key) + plain.branch(profile, key)


def turns(profile: int, key: int) -> int:
    """A raw greenlet and the request's own, in turns."""

    def first(give_way: Callable[[], object]) -> int:
        total = 0
        for number in range(3):
            total += number
            give_way()
        return total + leaves.in_raw(key)

    def second() -> None:
        here().pause()
        leaves.beside_raw(key)

    return here().in_turns(first, second) + profile


def killed(profile: int, key: int) -> int:
    """A greenlet that is killed in the middle."""
    found: list[int] = []

    def waits() -> None:
        try:
            here().wait_for_ever()
        except BaseException:
            here().pause()
            found.append(leaves.cleaned_up(key))

    here().killed(waits)
    return found[0] + profile


def linked(profile: int, key: int) -> int:
    """A callback at the end of a greenlet."""
    found: list[int] = []

    def called_back() -> None:
        here().pause()
        found.append(leaves.at_the_end(key))

    here().linked(with_pauses, profile, called_back)
    return found[0] + profile
