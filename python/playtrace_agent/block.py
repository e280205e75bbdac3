"""A block of code that is traced by hand. Imported once the agent is on."""

from __future__ import annotations

from . import _native, units


class Block(_native.Block, units.Decorator):
    """The native one, which may decorate a function, too. Entered and left natively: no signal interrupts that."""

    def __init__(self, slug: str, run: str | None) -> None:
        """Describe a block of a profile's run."""
        self.of = slug, run

    def __new__(cls, slug: str, run: str | None) -> Block:
        """Hand over what the native part calls."""
        return super().__new__(cls, slug, run, units.say_began, units.tell, units.say_failed)

    def _recreate_cm(self) -> Block:
        """Return one more for each call of the function."""
        return Block(*self.of)
