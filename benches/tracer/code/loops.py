"""Work that is bound by loops: few calls, lines that run thousands of times."""

from __future__ import annotations


def sieve(limit: int) -> int:
    """Count the primes below `limit`."""
    composite = bytearray(limit)
    count = 0
    for number in range(2, limit):
        if composite[number]:
            continue
        count += 1
        multiple = number * number
        while multiple < limit:
            composite[multiple] = 1
            multiple += number
    return count


def relax(width: int, sweeps: int) -> float:
    """Let heat spread over a bar; returns the temperature in its middle."""
    bar = [0.0] * width
    bar[0] = 100.0
    for _ in range(sweeps):
        for place in range(1, width - 1):
            left = bar[place - 1]
            right = bar[place + 1]
            bar[place] = (left + right + 2.0 * bar[place]) / 4.0
    return bar[width // 4]


def words(rounds: int) -> int:
    """Count words in a text that is taken apart again and again."""
    counts: dict[str, int] = {}
    text = "the hill drains to the channel and the channel drains to the outlet"
    for number in range(rounds):
        for word in text.split():
            key = word if number % 3 else word.upper()
            counts[key] = counts.get(key, 0) + 1
    return sum(counts.values()) * len(counts)


def work() -> tuple[int, float, int]:
    """About 3 ms of it."""
    return sieve(7_000), round(relax(100, 90), 6), words(250)


def one_line() -> int:
    """Loops that stand on one line, whose place is reached again without any other in between."""
    total = sum([number * number % 7 for number in range(20_000)])
    last = 0
    for last in range(40_000): pass  # fmt: skip # noqa: B007, E701 - it is about standing on one line
    return total + last + sum(1 for number in range(15_000) if number % 3)
