type Alias[T: int, *Ts, **P] = dict[T, lambda: T]


def generic[T: (int, str)](x: T, y=lambda: 0) -> T:
    type Local = list[T]
    return f"{x!r:>{f"{y}"}} {
        x
    }"


class Box[T]:
    """A docstring."""

    value: T

    @property
    def content(self) -> T:
        return self.value

    @content.setter
    def content(self, value: T) -> None:
        def inner():
            return [lambda: (i for i in [lambda: i]) for i in value]

        self.value = inner


try:
    import one
except* ImportError:

    def fallback():
        return lambda: 1
else:

    class Other:
        def method(self):
            pass


match Box:
    case Box() | 3:

        def in_case():
            return 1
    case _:
        raise ValueError  # pragma: no cover
