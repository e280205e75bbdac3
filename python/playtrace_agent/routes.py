"""By which route a request of real traffic came: asked of the framework, at the moment at which it has found it.

A rule (``/item/<id>``) and never a path, which may hold what is nobody's business. What a request does before its route
is known is the same for all of them; it counts for real traffic, and for no route.
"""

from __future__ import annotations

import functools
from sys import modules
from typing import TYPE_CHECKING, Any

from . import anyone, onimport, runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import ModuleType
    from typing import TypeAlias

    from ._native import Route

    #: Says method and rule of a request, by the arguments of what was wrapped. No rule: none was found.
    _Find: TypeAlias = Callable[..., tuple[str, str | None]]

#: Any other is the client's invention.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WS"})
#: Where a mounted app says below which rule it is.
_MOUNTED = "playtrace_agent.mounted"
_REMEMBERED = 1000


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


#: Routes by method and rule; bounded, as those of `anyone` are.
_known: dict[tuple[str, str | None], Route] = {}
#: How a route is found that has failed, which was said: it would fail for each request.
#: `None` at the end of the interpreter, when this module's names are gone and requests are still answered: then there
#: is nobody to tell. What the wrappers need by name they have bound.
_failed: set[Callable[..., Any]] = set()


def _entering(find: _Find) -> Callable[[tuple[Any, ...]], object]:
    """Return what notes the route of the request that runs, and returns what `leave_route` is given.

    ``False`` has nothing undone. It raises nothing of its own; every request comes by it.
    """
    known, learn, say, enter_route = _known, _learn, _say_once, runtime.native.enter_route

    def enter(of: tuple[Any, ...]) -> object:
        try:
            key = find(*of)
            route = known.get(key) or learn(*key)
            return False if route is None else enter_route(route, False)
        except Exception as error:  # noqa: BLE001 - the request comes first
            say(find, error)
            return False

    return enter


def _say_once(find: Callable[..., Any], error: Exception) -> None:
    if _failed is not None and find not in _failed:
        _failed.add(find)
        runtime.say_fault("recording the routes of real traffic", error)


def _learn(method: str, rule: str | None) -> Route | None:
    if rule is None:
        return None
    said = method if method in _METHODS else "?"
    # Django's rules have no slash at the beginning.
    route = anyone.route(f"{said} {rule}" if rule[:1] == "/" else f"{said} /{rule}")
    if route is not None and said == method and len(_known) < _REMEMBERED:
        _known[method, rule] = route
    return route


def _over_async(
    original: Callable[..., Coroutine[Any, Any, Any]], find: _Find
) -> Callable[..., Coroutine[Any, Any, Any]]:
    enter, leave = _entering(find), runtime.native.leave_route

    @functools.wraps(original)
    async def call(*args: Any, **kwargs: Any) -> Any:
        before = enter(args)
        try:
            return await original(*args, **kwargs)
        finally:
            leave(before)

    return call


def _around(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function within which a request's route is found: with it, the request is over."""
    held, leave = runtime.native.held, runtime.native.leave_found_route

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        before = held()
        try:
            return original(*args, **kwargs)
        finally:
            leave(before)

    return call


def _around_async(original: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    held, leave = runtime.native.held, runtime.native.leave_found_route

    @functools.wraps(original)
    async def call(*args: Any, **kwargs: Any) -> Any:
        before = held()
        try:
            return await original(*args, **kwargs)
        finally:
            leave(before)

    return call


def _finding(original: Callable[..., Any], find: _Find) -> Callable[..., Any]:
    """Wrap a function that finds the route: ``find`` is asked about its result and its arguments."""
    enter = _entering(find)

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        found = original(*args, **kwargs)
        enter((found, *args))
        return found

    return call


def _change_flask(module: ModuleType) -> None:
    """Flask has found the rule when it dispatches the request. In one piece: a function more would cost as much.

    Most requests go the native way, which leaves to Python what is out of the ordinary (greenlets, samples).
    """
    from flask import globals as variables

    # A proxy takes as long as all the rest; some releases have no such variable.
    current = getattr(variables, "_cv_request", None)
    kind: Any = module.Flask
    original = kind.full_dispatch_request
    enter, leave = runtime.native.enter_route, runtime.native.leave_route
    say_once, failed = _say_once, _change_flask

    @functools.wraps(original)
    def full_dispatch_request(self: Any, *args: Any) -> Any:
        before: object = False
        try:
            asked: Any = variables.request if current is None else current.get().request
            rule = asked.url_rule
            if rule is not None:
                route = _known.get((asked.method, rule.rule)) or _learn(asked.method, rule.rule)
                if route is not None:
                    before = enter(route, "gevent" not in modules and "eventlet" not in modules)
        except Exception as error:  # noqa: BLE001 - the request comes first
            say_once(failed, error)
        try:
            return original(self, *args)
        finally:
            leave(before)

    kind.full_dispatch_request = full_dispatch_request
    if current is not None:
        natively = runtime.native.flask_dispatch(full_dispatch_request, original, current, _known, modules)
        if natively is not None:
            kind.full_dispatch_request = functools.update_wrapper(natively, original)


def _change_django(module: ModuleType) -> None:
    """Django finds the route behind its middleware, whose way back belongs to it, too."""
    kind: Any = module.BaseHandler
    kind.resolve_request = _finding(
        kind.resolve_request, lambda match, _, request: (request.method, getattr(match, "route", None))
    )
    kind.get_response = _around(kind.get_response)
    kind.get_response_async = _around_async(kind.get_response_async)


def _change_starlette(module: ModuleType) -> None:
    """Starlette's router has found a route when it lets that handle the request."""

    def find(route: Any, scope: Any, *_: Any) -> tuple[str, str]:
        return scope.get("method", "WS"), scope.get(_MOUNTED, "") + route.path

    def mounted(mount: Any, scope: Any, *_: Any) -> tuple[str, None]:
        scope[_MOUNTED] = scope.get(_MOUNTED, "") + mount.path
        return "", None

    for kind, asked in ((module.Route, find), (module.WebSocketRoute, find), (module.Mount, mounted)):
        kind.handle = _over_async(kind.handle, asked)


def _change_fastapi(module: ModuleType) -> None:
    """FastAPI's routes may handle requests by themselves, below the prefix of a router that they are included by."""
    effective = getattr(module, "_get_scope_effective_route_context", None)

    def find(route: Any, scope: Any, *_: Any) -> tuple[str, str]:
        context = effective(scope) if effective is not None else None
        path = context.path if context is not None and context.original_route is route else route.path
        return scope.get("method", "WS"), scope.get(_MOUNTED, "") + path

    kind: Any = module.APIRoute
    if "handle" in vars(kind):
        kind.handle = _over_async(kind.handle, find)


def _change_bottle(module: ModuleType) -> None:
    def find(found: Any, _: Any, environ: Any) -> tuple[str, str | None]:
        return environ["REQUEST_METHOD"], getattr(found[0], "rule", None)

    router: Any = module.Router
    router.match = _finding(router.match, find)
    app: Any = module.Bottle
    app._handle = _around(app._handle)


def _change_pyramid(module: ModuleType) -> None:
    from pyramid.urldispatch import RoutesMapper  # type: ignore[import-untyped]

    def find(found: Any, _: Any, request: Any) -> tuple[str, str | None]:
        return request.method, getattr(found["route"], "pattern", None)

    mapper: Any = RoutesMapper
    mapper.__call__ = _finding(mapper.__call__, find)
    router: Any = module.Router
    router.invoke_request = _around(router.invoke_request)


def _change_falcon(module: ModuleType) -> None:
    kind: Any = module.App
    finds = vars(kind).get("_get_responder")
    if finds is not None:
        kind._get_responder = _finding(finds, lambda found, _, req: (req.method, found[3]))
    is_asgi = module.__name__ == "falcon.asgi.app"
    kind.__call__ = (_around_async if is_asgi else _around)(kind.__call__)
