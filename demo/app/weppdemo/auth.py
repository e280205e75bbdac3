"""Logging in: a form with a CSRF token, and a session cookie."""

from __future__ import annotations

import hmac
import secrets

from flask import Blueprint, Response, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as BaseResponse

from weppdemo.settings import Settings

blueprint = Blueprint("auth", __name__)

# Blueprints whose routes anybody may call.
_PUBLIC = ("auth", "status", None)


@blueprint.get("/login")
def login_form() -> str:
    """The form, with a token that must come back with it."""
    session["csrf_token"] = secrets.token_urlsafe(24)
    return render_template("login.html", error="", token=session["csrf_token"])


@blueprint.post("/login")
def login() -> BaseResponse | str:
    """Check token, address and password; a failure shows the form again and leaves nobody logged in."""
    settings = Settings.from_env()
    expected = session.get("csrf_token", "")
    if not expected or not hmac.compare_digest(expected, request.form.get("csrf_token", "")):
        return Response("The form is out of date: open the log-in page again.", status=400)
    address_fits = hmac.compare_digest(request.form.get("email", ""), settings.admin_email)
    password_fits = hmac.compare_digest(request.form.get("password", ""), settings.admin_password)
    if not (address_fits and password_fits):
        session["csrf_token"] = secrets.token_urlsafe(24)
        return render_template("login.html", error="Wrong e-mail or password", token=session["csrf_token"])
    session.clear()
    session["user"] = settings.admin_email
    session.permanent = request.form.get("remember", "") not in ("", "false", "0")
    return redirect(local_target(request.args.get("next", "")))


@blueprint.post("/logout")
def logout() -> BaseResponse:
    """Forget who is logged in."""
    session.clear()
    return redirect(url_for("auth.login_form"))


def local_target(wanted: str) -> str:
    """Where to go after the log-in: a path of this app, never another site."""
    local = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted
    return wanted if local else url_for("pages.home")


def require_login() -> BaseResponse | None:
    """Send whoever is not logged in to the form; public routes and unknown paths pass."""
    if request.blueprint in _PUBLIC or "user" in session:
        return None
    return redirect(url_for("auth.login_form", next=request.script_root + request.path))
