"""`python -m tests.stress.eventlet_server PORT`: the stress app under `eventlet.wsgi`, until told to end."""

from __future__ import annotations

import signal
import sys
import warnings

# It says of itself that it is deprecated.
warnings.simplefilter("ignore")

import eventlet  # noqa: E402

eventlet.monkey_patch()

import eventlet.wsgi  # noqa: E402

from tests.stress import app  # noqa: E402


def main() -> None:
    """Serve."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    listener = eventlet.listen(("127.0.0.1", int(sys.argv[1])), backlog=512)
    eventlet.wsgi.server(listener, app.create(), log_output=False)


if __name__ == "__main__":
    main()
