"""Signs headers as `docs/reference/signed-headers.md` says, with nothing of ours."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time

SECRET = "correct horse battery staple"


def sign(
    slug: str, run: str = "", step: str = "", *, secret: str = SECRET, at: float = 0, nonce: str | None = None
) -> str:
    """Return the value of `X-Profile-Trace-Signature`; `at` is in seconds from now."""
    when = str(int(time.time() + at))
    nonce = nonce or secrets.token_urlsafe(18)
    text = f"playtrace-v1\n{when}\n{nonce}\n{slug}\n{run}\n{step}\n"
    code = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"v1={when},{nonce},{code}"


def headers(slug: str, run: str = "", step: str = "", **how: object) -> dict[str, str]:
    """Return all headers of a request that is to be traced."""
    found = {"X-Profile-Trace": slug, "X-Profile-Trace-Signature": sign(slug, run, step, **how)}  # type: ignore[arg-type]
    if run:
        found["X-Profile-Trace-Run"] = run
    if step:
        found["X-Profile-Trace-Step"] = step
    return found
