"""Health check of a worker's container: ends with 0 if an RQ worker of this host is registered and not overdue.

RQ lets the registration of a worker that died lapse by itself, so that what Redis still knows is alive.
"""

from __future__ import annotations

import os
import socket
import sys

import redis
import rq


def main() -> int:
    """Ask the Redis of `WEPPDEMO_REDIS_URL`."""
    url = os.environ["WEPPDEMO_REDIS_URL"]
    try:
        workers = rq.Worker.all(connection=redis.Redis.from_url(url, socket_timeout=4, socket_connect_timeout=4))
    except redis.RedisError as error:
        print(f"{url}: {error}")
        return 1
    here = [worker.name for worker in workers if worker.hostname == socket.gethostname()]
    if not here:
        print(f"{url} knows {len(workers)} workers, none of them on {socket.gethostname()}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
