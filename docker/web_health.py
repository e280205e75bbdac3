"""Health check of a web container: `web_health.py URL` ends with 0 if the URL is answered with 200."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request


def main(url: str) -> int:
    """Ask, and say what came back where it was something else."""
    # A proxy in the container's environment is not for its own loopback interface.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=4) as answer:
            status = int(answer.status)
    except (urllib.error.URLError, OSError) as error:
        print(f"{url}: {error}")
        return 1
    if status != 200:
        print(f"{url}: answered {status}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
