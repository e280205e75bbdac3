"""By which route a request of real traffic came: asked of the framework, at the moment at which it has found it.

A rule (``/item/<id>``) and never a path, which may hold what is nobody's business. What a request does before its route
is known is the same for all of them; it counts for real traffic, and for no route.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from . import anyone, onimport, runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import ModuleType

#: Any other is the client's invention.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WS"})
#: Where a mounted app says below which rule it is.
_MOUNTED = "playtrace_agent.mounted"


def install() -> None:
    """Change the frameworks that are here, and the others when they are imported. Once, when the agent goes on."""
    onimport.install(
        {
            "flask.app": _change_flask,
            "django.core.handlers.base": _change_django,
            "starlette.routing": _change_starlette,
            "fastapi.routing": _change_fastapi,
            "bottle": _change_bottle,
            "pyramid.router": _change_pyramid,
            "falcon.app": _change_falcon,
            "falcon.asgi.app": _change_falcon,
        }
    )


def enter(method: str, rule: str | None) -> None:
    """Note the route of the request that runs; to be undone by who began it. Raises nothing of its own."""
    if not rule:
        # An app of one page has an empty rule in Django; elsewhere no rule was found.
        if rule is None:
            return
        rule = "/"
    if method not in _METHODS:
        method = "?"
    try:
        route = anyone.route(f"{method} {rule if rule[0] in '/^' else '/' + rule}")
        if route is not None:
            runtime.native.enter_route(route)
    except Exception as error:  # noqa: BLE001 - the request comes first
        runtime.say_fault("recording real traffic", error)


def _over(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function within which a request's route is found: with it, the request is over."""

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        before = runtime.native.held()
        try:
            return original(*args, **kwargs)
        finally:
            runtime.native.leave_route(before)

    return call


def _over_async(original: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    @functools.wraps(original)
    async def call(*args: Any, **kwargs: Any) -> Any:
        before = runtime.native.held()
        try:
            return await original(*args, **kwargs)
        finally:
            runtime.native.leave_route(before)

    return call


def _change_flask(module: ModuleType) -> None:
    """Flask has found the rule when it dispatches the request."""
    from flask.globals import request

    kind: Any = module.Flask
    original = kind.full_dispatch_request

    @functools.wraps(original)
    def full_dispatch_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = runtime.native.held()
        try:
            asked: Any = request._get_current_object()  # type: ignore[attr-defined]
            rule = asked.url_rule
            if rule is not None:
                enter(asked.method, rule.rule)
            return original(self, *args, **kwargs)
        finally:
            runtime.native.leave_route(before)

    kind.full_dispatch_request = full_dispatch_request


def _change_django(module: ModuleType) -> None:
    """Django finds the route behind its middleware, whose way back belongs to it, too."""
    kind: Any = module.BaseHandler
    resolve = kind.resolve_request

    @functools.wraps(resolve)
    def resolve_request(self: Any, request: Any) -> Any:
        match = resolve(self, request)
        enter(request.method, getattr(match, "route", None))
        return match

    kind.resolve_request = resolve_request
    kind.get_response = _over(kind.get_response)
    kind.get_response_async = _over_async(kind.get_response_async)


def _change_starlette(module: ModuleType) -> None:
    """Starlette's router has found a route when it lets that handle the request."""
    for kind in (module.Route, module.WebSocketRoute):
        kind.handle = _handle(kind.handle, lambda route, _: route.path)
    mount: Any = module.Mount
    original = mount.handle

    @functools.wraps(original)
    async def handle(self: Any, scope: Any, receive: Any, send: Any) -> None:
        scope[_MOUNTED] = scope.get(_MOUNTED, "") + self.path
        await original(self, scope, receive, send)

    mount.handle = handle


def _change_fastapi(module: ModuleType) -> None:
    """FastAPI's routes may handle requests by themselves, below the prefix of a router that they are included by."""
    effective = getattr(module, "_get_scope_effective_route_context", None)

    def path(route: Any, scope: Any) -> Any:
        context = effective(scope) if effective is not None else None
        return context.path if context is not None and context.original_route is route else route.path

    kind: Any = module.APIRoute
    if "handle" in vars(kind):
        kind.handle = _handle(kind.handle, path)


def _handle(
    original: Callable[..., Coroutine[Any, Any, None]], path: Callable[[Any, Any], Any]
) -> Callable[..., Coroutine[Any, Any, None]]:
    @functools.wraps(original)
    async def handle(self: Any, scope: Any, receive: Any, send: Any) -> None:
        before = runtime.native.held()
        try:
            enter(scope.get("method", "WS"), scope.get(_MOUNTED, "") + path(self, scope))
            await original(self, scope, receive, send)
        finally:
            runtime.native.leave_route(before)

    return handle


def _change_bottle(module: ModuleType) -> None:
    router: Any = module.Router
    original = router.match

    @functools.wraps(original)
    def match(self: Any, environ: Any) -> Any:
        found = original(self, environ)
        enter(environ["REQUEST_METHOD"], getattr(found[0], "rule", None))
        return found

    router.match = match
    module.Bottle._handle = _over(module.Bottle._handle)  # type: ignore[attr-defined]


def _change_pyramid(module: ModuleType) -> None:
    from pyramid.urldispatch import RoutesMapper

    original: Any = RoutesMapper.__call__

    @functools.wraps(original)
    def __call__(self: Any, request: Any) -> Any:  # noqa: N807 - it is one
        found = original(self, request)
        enter(request.method, getattr(found["route"], "pattern", None))
        return found

    RoutesMapper.__call__ = __call__
    module.Router.invoke_request = _over(module.Router.invoke_request)  # type: ignore[attr-defined]


def _change_falcon(module: ModuleType) -> None:
    kind: Any = module.App
    finds = vars(kind).get("_get_responder")
    if finds is not None:

        @functools.wraps(finds)
        def _get_responder(self: Any, req: Any) -> Any:
            found = finds(self, req)
            enter(req.method, found[3])
            return found

        kind._get_responder = _get_responder
    is_asgi = module.__name__ == "falcon.asgi.app"
    kind.__call__ = (_over_async if is_asgi else _over)(kind.__call__)
