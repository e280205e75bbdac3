import os

if os.name == "nt":  # pragma: no cover
    import winreg

    def excluded_function():
        return 1
else:
    winreg = None

x = 1  # pragma: no cover
y = [  # pragma: no cover
    1,
    2,
]
z = [
    1,  # pragma: no cover
    2,
]


def excluded():  # pragma: no cover
    """Docstring."""
    x = 1
    return x


def excluded_by_signature(
    a,
    b,  # pragma: no cover
):
    return a


@os.fspath  # pragma: no cover
def excluded_by_decorator():
    return 1


@os.fspath
@(
    os.fspath  # pragma: no cover
)
def excluded_by_second_decorator():
    return 1


class Excluded:  # pragma: no cover
    attribute = 1

    def method(self):
        return 1


class Partly:
    def method(self):  # pragma: no cover
        return 1

    def other(self):
        if self:  # pragma: no cover
            return 1
        elif other:
            return 2
        else:  # pragma: no cover
            return 3
        return 4

    annotated: int = 1  # pragma: no cover
    after_annotated = 2

    def lambda_after(self):
        f = lambda: 1  # pragma: no cover
        return f

    def dictionary(self):
        return {  # pragma: no cover
            "a": 1,
        }


for i in x:  # pragma: no cover
    y = 1

    # a comment
  # a comment that is out of line
    z = 2
y = 3

try:
    y = 4
except ValueError:  # pragma: no cover
    y = 5
finally:  # pragma: no cover
    y = 6

match x:
    case 1:  # pragma: no cover
        y = 1
    case 2:
        y = 2

if x:  # PRAGMA: NO COVER
    pass
if x:  # pragma no cover
    pass
if x:  #pragma:no cover
    pass
text = "# pragma: no cover"
after = 1; more = 2  # pragma: no cover
def stub() -> None: ...
async def async_stub(): ...
def stub_below(a,
               b): ...

class Stub: ...
if x: ...
w = x[1:2]  # pragma: no cover
v = 1
