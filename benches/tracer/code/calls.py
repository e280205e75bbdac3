"""Work that is bound by calls: small functions, methods and generators."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def fib(number: int) -> int:
    """The slow way, which makes one call a number."""
    if number < 2:
        return number
    return fib(number - 1) + fib(number - 2)


class Account:
    """Something with small methods."""

    def __init__(self) -> None:
        self._sum = 0

    @property
    def total(self) -> int:
        """What was paid in."""
        return self._sum

    def pay(self, amount: int) -> None:
        """Add to it."""
        self._sum = self.total + amount


def countdown(number: int) -> Iterator[int]:
    """Numbers, by a generator that delegates."""
    if number:
        yield number
        yield from countdown(number - 1)


def work() -> int:
    """About 3 ms of it."""
    account = Account()
    for amount in range(8_000):
        account.pay(amount)
    return fib(20) + account.total + sum(countdown(60))


def recursion() -> int:
    """About 3 ms of nothing but calls."""
    return fib(22)
