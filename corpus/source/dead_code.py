"""What the compiler leaves out. Nothing here is ever run: coverage.py says what counts."""

import sys


def after_return(x):
    return x
    x += 1


def after_endless_loop(x):
    while True:
        x += 1
    return x


def endless_loop_with_break(x):
    while 1:
        if x:
            break
        x += 1
    else:
        x = "never"
    return x


def never_loops(x):
    while 0:
        x += 1
    else:
        x = "always"
    return x


def constant_branches(x):
    if 0:
        x = "never"
        def inside_dead_code():
            return 1
    elif x:
        x = 1
    else:
        x = 2
    if 1:
        x = 3
    elif x:
        x = "never"
    else:
        x = "never"
    if not __debug__:
        x = "never"
    if x and 0:
        x = "never"
    if x or "yes":
        x = 4
    else:
        x = "never"
    if 0 and x():
        x = "never"
    if (1 if x else 0):
        x = 5
    if ():
        x = "never"
    if ...:
        x = 6
    else:
        x = "never"
    if -1:
        x = 7
    else:
        x = "never"
    if None is None:
        x = 8
    else:
        x = 9
    if 1 == 1:
        x = 10
    else:
        x = 11
    if f"a":
        x = 12
    else:
        x = 13
    if not (1, 2):
        x = "never"
    if [1]:
        x = 14
    else:
        x = 15


def all_branches_leave(x):
    if x:
        return 1
    elif x is None:
        raise ValueError
    else:
        return 2
    x = "dead"


def impossible_assertion(x):
    assert x, "message"
    assert False, "always"
    x = "dead"


def finally_returns(x):
    try:
        return x
    finally:
        return 1
    x = "dead"


def finally_runs(x):
    try:
        return x
    finally:
        x += 1
    x = "dead"


def break_through_endless_finally(x):
    while True:
        try:
            break
        finally:
            raise ValueError
    x = "dead"


def break_in_finally(x):
    while True:
        try:
            x += 1
        finally:
            break
    return x


def continue_in_finally(x):
    while True:
        try:
            break
        finally:
            continue
    return "dead"


def handlers(x):
    try:
        pass
    except ValueError:
        x = 1
    except (
        TypeError,
        KeyError,
    ) as error:
        x = error
    except:
        x = 3
    else:
        x = 4
    finally:
        x = 5
    try:
        return 1
    except ValueError:
        pass
    else:
        x = "dead"
    return x


def handlers_all_leave(x):
    try:
        raise ValueError
    except ValueError:
        return 1
    except Exception:
        raise
    x = "dead"


def groups(x):
    try:
        return x
    except* ValueError:
        x = 1
    except* TypeError as group:
        x = group
    return x


def with_swallows(x):
    with x:
        return 1
    x = "alive"


async def async_parts(x):
    async with x as y:
        raise ValueError
    async for z in y:
        break
    else:
        z = 1
    return [w async for w in z if await w]


def matches(x):
    match x:
        case 1:
            return 1
        case [a, *_] | {"k": a}:
            return a
        case str(y) if y:
            return 2
        case _:
            return 3
    x = "dead"


def match_captures(x):
    match x:
        case y:
            return y
    x = "dead"


def match_guard(x):
    match x:
        case _ if x > 1:
            return 1
    return 2


def match_open(x):
    match (
        x,
        1,
    ):
        case (1, 2):
            return 1
    return 2


def loops(x):
    for i in x:
        if i:
            continue
        elif x:
            break
        pass
    else:
        return 1
    for i in x:
        return i
    for i in ():
        x = i
    while x:
        return 1
    else:
        return 2
    x = "dead"


def nested_loops(x):
    while True:
        while True:
            break
        for _ in x:
            continue
    x = "dead"


if sys.platform == "win32":
    def on_windows():
        return 1
else:
    def elsewhere():
        return 2

if 0:
    def not_at_all():
        return 3

while 0:
    x = "never"


def raises_at_once():
    raise NotImplementedError
    yield 1
