"""What strangers send: names that can't be one, signatures of somebody else, old ones, used ones, noise."""

from __future__ import annotations

import hashlib
import hmac
import time

SECRET = "correct horse battery staple"
#: Nearly as long as a header may be for the servers.
_LONG = 7_000


def malformed(number: int) -> dict[str, str]:
    """Return headers that are refused whether there is a secret or not."""
    kinds = (
        {"X-Profile-Trace": "p" * _LONG},
        {"X-Profile-Trace": f"../{number}"},
        {"X-Profile-Trace": "\xff\x80\xc3("},
        {"X-Profile-Trace": "p", "X-Profile-Trace-Run": f"r/{number}"},
        {"X-Profile-Trace": "p", "X-Profile-Trace-Step": "9" * _LONG},
    )
    return kinds[number % len(kinds)]


def hostile(number: int) -> dict[str, str]:
    """Return headers that are refused where there is a secret."""
    kinds = (
        {"X-Profile-Trace": f"p{number}"},
        _signed("p", secret="another one, which is long enough"),
        _signed("p", age=4000),
        _signed("p") | {"X-Profile-Trace": "q"},
        {"X-Profile-Trace": "p", "X-Profile-Trace-Signature": "v1=" + "9" * _LONG},
        malformed(number // 6),
    )
    return kinds[number % len(kinds)]


def _signed(slug: str, *, secret: str = SECRET, age: int = 0) -> dict[str, str]:
    """As `docs/reference/signed-headers.md` says."""
    when, nonce = str(int(time.time()) - age), "0123456789abcdefghijklmn"
    text = f"playtrace-v1\n{when}\n{nonce}\n{slug}\n\n\n"
    code = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {"X-Profile-Trace": slug, "X-Profile-Trace-Signature": f"v1={when},{nonce},{code}"}
