made = tuple(
    dict(
        item=item,
        value=lambda event: event.percent,
    )
    for item in [1, 2]
)
within = list(list(lambda: (inner, outer) for inner in [outer]) for outer in [1])
listed = [lambda: item for item in (lambda: [1])()]
called = (lambda: (lambda: n for n in [1]))()
conditions = sum(n for n in [1] if (lambda: n)() for _ in (lambda: [n])() if (lambda: n > 0)())


def function(items, key=lambda item: list((lambda: item) for _ in [1])):
    yield from (lambda: (yield_, item) for item in items for yield_ in (lambda: [item])())

    class Local:
        attribute = tuple(lambda self: n for n in [1])

        def method(self):
            return max((lambda: self for _ in [1]), key=lambda found: found())

    return Local


async def coroutine(items):
    return [lambda: item async for item in (lambda: await_ async for await_ in items)]
