"""A Flask app whose views are bound by different things."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask, render_template_string

from . import calls, loops, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

_PAGE = """<ul>{% for number in numbers %}
  {% if number is odd %}<li>{{ number }}</li>{% else %}<li><b>{{ number }}</b></li>{% endif %}
{% endfor %}</ul>"""


def make_app(flat: Callable[[], object]) -> Flask:
    """An app; `flat` is code in which each line runs once."""
    app = Flask("bench")

    @app.get("/trivial")
    def trivial() -> str:
        return "ok"

    @app.get("/template")
    def template() -> str:
        numbers = range(40)
        return render_template_string(_PAGE, numbers=numbers)

    @app.get("/loops")
    def looping() -> str:
        answer = loops.work()
        return str(answer)

    @app.get("/calls")
    def calling() -> str:
        answer = calls.work()
        return str(answer)

    @app.get("/flat")
    def flat_code() -> str:
        answer = flat()
        return str(answer)

    @app.get("/waiting")
    def waits() -> str:
        answer = waiting.work()
        return str(answer)

    return app
