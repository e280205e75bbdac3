"""The engine of the stress app's requests to a database: SQLAlchemy's, over a driver with a thread per connection."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from sqlalchemy import Dialect, Integer, TypeDecorator, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

# The option of a statement that says what is to be called before it.
CALLED = "called"
# Fewer connections than requests: these wait for one another, in greenlets.
CONNECTIONS = 3


class Converted(TypeDecorator[int]):
    """An integer that is put through a function on its way to the database."""

    impl = Integer
    cache_ok = True

    def __init__(self, convert: Callable[[int], int]) -> None:
        super().__init__()
        self.convert = convert

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        """Convert it."""
        return None if value is None else self.convert(value)


@functools.cache
def engine() -> AsyncEngine:
    """Return the engine of this process and its only loop."""
    from stresswork import leaves  # type: ignore[import-not-found]

    made = create_async_engine(
        "sqlite+aiosqlite://", poolclass=AsyncAdaptedQueuePool, pool_size=CONNECTIONS, max_overflow=0
    )

    @event.listens_for(made.sync_engine, "connect")
    def connected(connection: Any, _: object) -> None:
        # The connection is kept; the thread calls it for whoever has the connection then.
        connection.create_function("called", 1, leaves.in_function)

    @event.listens_for(made.sync_engine, "before_cursor_execute")
    def before(
        _connection: object, _cursor: object, _statement: str, _parameters: object, context: Any, _: bool
    ) -> None:
        context.execution_options.get(CALLED, int)()

    return made


async def dispose() -> None:
    """Close the connections: their threads end."""
    await engine().dispose()
