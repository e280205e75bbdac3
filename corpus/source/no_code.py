# coding: utf-8
"""Lines that look like code and are none, and the other way round.

A docstring of several lines.
"""
from __future__ import annotations

import typing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import abc
    import json as not_counted

if typing.TYPE_CHECKING:
    from collections import deque

bare: int
(in_parentheses): int
with_value: int = 1
holder = type("Holder", (), {})
holder.attribute: int
holder.other: int = 2
"a string"
"a string", "in a tuple"
1
...
b"bytes"
None
f"text"
-1
x = 1; y = 2; "text"
x = 1; \
    y = 2
z = [
    1,
    2,
]; del z
del ()
del (), []
pass


class Documented:
    """Docstring."""


class DocumentedAndMore:
    """Docstring."""

    attribute: int
    other: "str" = "x"
    "not a docstring"

    def method(self):
        """Docstring."""

    def with_global(self):
        global declared
        nonlocal_free = 1
        def inner():
            nonlocal nonlocal_free
            nonlocal_free = 2
        return inner

    def annotated(self):
        local: int
        (other): int
        self.attribute: int
        self.values[0]: int
        local = 1
        return local

    def stub(self): ...

    def stub_below(self):
        ...

    def stub_with_comment(
        self,
    ) -> int:  # a comment
        ...  # more

    @typing.overload
    def decorated_stub(self) -> int: ...

    @property
    @typing.no_type_check
    def decorated(
        self,
        argument=(
            1,
            2,
        ),
    ): return argument

    @(
        typing.final
    )
    def decorator_in_parentheses(self):
        pass


def one_line(): return 1
def one_line_docstring(): "doc"
def docstring_on_last_line(a,
        b): "doc"
def two_statements(): x = 1; return x
class OneLine: pass
class OneLineDoc: "doc"


def declares_global():
    global Global, made_global
    class Global:
        def method(self): return 1
        class Inner:
            pass
    def made_global():
        def inner(): return 1
        return inner


def implicit(
):
    "doc" "string"
    return (
        "a"
        "b"
    )


def f_docstring():
    f"not a docstring"


def parenthesized_docstring():
    (
        "doc"
    )


lambda_ = lambda x: (
    x
)
text = """
# pragma: no cover
"""
if x: y = 1
if x: y = 1; z = 2
else: y = 3
try: y = 1
except ValueError: y = 2
else: y = 3
finally: y = 4
for i in (): pass
else: y = 5
with open(__file__) as a, \
     open(__file__) as b:
    pass

type Alias = int
type Generic[T] = list[T]


def generic[T: int](x: T) -> T:
    return x


class GenericClass[T]:
    def method[U](self, x: U) -> T: ...
    value = 1

print(f"{
    x
}", f"{x:>{
    y}}")

# the last line has no newline
def last(): return 1