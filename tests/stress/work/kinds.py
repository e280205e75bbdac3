"""What a request, or a job, asks for."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Response, request

from tests.stress import support

from . import green, plain, ways

_FEATURES = {
    "thread": ways.thread,
    "timer": ways.timer,
    "pool": ways.pool,
    "tasks": ways.tasks,
    "loop": ways.loop,
    "handed": ways.handed,
    "late": ways.late,
    "callbacks": plain.callbacks,
    "errors": plain.errors,
    "greenlet": green.greenlet,
    "green_pool": green.green_pool,
    "native": green.native,
    "turns": green.turns,
    "killed": green.killed,
    "linked": green.linked,
}
_WITH_TICKET = {"across": ways.across, "forked": ways.forked, "switched": ways.switched, "forgotten": ways.forgotten}


def answer(profile: int, key: int, features: list[str], ticket: support.Ticket) -> int:
    """Do the plain work and each feature."""
    total = plain.plain(profile, key)
    for name in features:
        if name in _FEATURES:
            total += _FEATURES[name](profile, key)
        elif name in _WITH_TICKET:
            total += _WITH_TICKET[name](profile, key, ticket)
    return total


def view() -> Response:
    """Answer a request."""
    profile, key = int(request.args["profile"]), int(request.args["key"])
    features = request.args["features"].split(".")
    total = answer(profile, key, features, support.Ticket.parse(profile, request.args))
    if "stream" in features:
        return Response(body(profile, key, total), mimetype="text/plain")
    return Response(str(total), mimetype="text/plain")


def body(profile: int, key: int, total: int) -> Iterator[str]:
    """The streamed answer."""
    yield from ways.stream(profile, key)
    yield str(total)


def job(profile: int, key: int, features: list[str], ticket: support.Ticket) -> str:
    """Do a job."""
    total = answer(profile, key, features, ticket)
    if "stream" in features:
        return "".join(ways.stream(profile, key)) + str(total)
    return str(total)
