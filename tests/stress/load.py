"""Sends the requests: a few processes of a few threads, each with a connection of its own."""

from __future__ import annotations

import http.client
import urllib.parse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

from tests.stress.plan import Request

PROCESSES = 2
THREADS = 6
_TIMEOUT = 120.0


class LoadError(Exception):
    """The app did not answer as it must; then nothing can be said about its lines."""


def send(port: int, requests: Sequence[Request], *, statuses: bool = True) -> dict[int, str]:
    """Send all requests, about in their order, as many at once as there are threads; return the answers.

    Each must have the right trace status, unless `statuses` do not matter.
    """
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        shares = [requests[start::PROCESSES] for start in range(PROCESSES)]
        found = list(pool.map(_send_share, [port] * PROCESSES, shares, [statuses] * PROCESSES))
    return {number: answer for answers in found for number, answer in answers.items()}


def _send_share(port: int, requests: Sequence[Request], statuses: bool) -> dict[int, str]:
    with ThreadPoolExecutor(THREADS) as pool:
        shares = [requests[start::THREADS] for start in range(THREADS)]
        found = list(pool.map(_send_each, [port] * THREADS, shares, [statuses] * THREADS))
    return {number: answer for answers in found for number, answer in answers.items()}


def _send_each(port: int, requests: Sequence[Request], statuses: bool) -> dict[int, str]:
    answers: dict[int, str] = {}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
    for request in requests:
        headers = {}
        if request.traced:
            headers = {
                "X-Profile-Trace": request.slug,
                "X-Profile-Trace-Run": request.run,
                "X-Profile-Trace-Step": str(request.number),
            }
        target = f"/work?{urllib.parse.urlencode(request.query)}"
        text, status = _answer(connection, target, headers)
        if statuses and status != ("on" if headers else None):
            raise LoadError(f"{target}: trace status {status}")
        answers[request.number] = text
    connection.close()
    return answers


def _answer(connection: http.client.HTTPConnection, target: str, headers: dict[str, str]) -> tuple[str, str | None]:
    try:
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
    except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
        # A kept connection that the server closed meanwhile. The request reached nobody.
        connection.close()
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
    text = response.read().decode()
    if response.status != 200:
        raise LoadError(f"{target}: {response.status}: {text[:500]}")
    return text, response.getheader("X-Profile-Trace-Status")
