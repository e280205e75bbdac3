"""The errors that a person using the app can cause."""

from __future__ import annotations


class UserError(Exception):
    """Something in the request can't be done; the message is shown to the person."""

    status = 400


class NotReady(UserError):
    """The request needs the result of a step that has not been run."""

    status = 409


class UnknownRun(UserError):
    """No run has this id, or the id is malformed."""

    status = 404
