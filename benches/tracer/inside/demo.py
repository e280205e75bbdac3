"""The demo's profiles in one process: the sessions that were recorded, web requests and jobs alike.

Nothing is sent through a socket: a request is a call of the WSGI app, and the jobs that it enqueues run, right after
it, in an RQ `SimpleWorker`. Time is counted inside these two only, not in what stands for the browser.
"""

from __future__ import annotations

import gc
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HOST_URL = "http://127.0.0.1:8080"
APP_URL = f"{HOST_URL}/weppcloud"


class Demo:
    """The demo app and a worker in this process; their settings come from the environment."""

    def __init__(self, work: Path) -> None:
        import logging

        import playtrace_agent.rq
        import rq
        from weppdemo.queues import QUEUE_NAME, connect
        from weppdemo.settings import Settings
        from weppdemo.wsgi import application

        # The jobs that a session lets fail are expected.
        logging.getLogger("rq.worker").setLevel(logging.CRITICAL)
        playtrace_agent.rq.install()
        self.app: Any = application
        self.runs = Path(os.environ["WEPPDEMO_RUNS_DIR"])
        self.connection = connect(Settings.from_env())

        class Deaf(rq.SimpleWorker):
            """A worker that takes no commands: the end of its ear takes up to a second, each time."""

            def subscribe(self) -> None:
                """Nobody commands it."""

            def unsubscribe(self) -> None:
                """Nor does it leave off."""

        self.worker = Deaf([QUEUE_NAME], connection=self.connection)
        self.seconds = 0.0
        self.headers: dict[str, str] = {}

    def tasks(self) -> dict[str, Callable[..., Any]]:
        """By the names under which they are asked for."""
        return {"replay": self.replay, "profiles": self.profiles}

    def profiles(self) -> list[str]:
        """The slugs of the sessions."""
        from sessions import SESSIONS

        return [session.slug for session in SESSIONS]

    def replay(self, slug: str, traced: bool, run: str) -> dict[str, Any]:
        """Replay a profile; seconds of the processor, and what the app answered."""
        from sessions import SESSIONS

        [session] = [session for session in SESSIONS if session.slug == slug]
        answers: list[Any] = []
        self.connection.flushdb()
        shutil.rmtree(self.runs, ignore_errors=True)
        self.runs.mkdir(parents=True)
        self.headers = {}
        browser = self._browser(session, answers)
        browser.log_in(os.environ["ADMIN_EMAIL"], os.environ["ADMIN_PASSWORD"])
        browser.create_run()
        if session.before is not None:
            session.before(browser)
        if traced:
            self.headers = {"X-Profile-Trace": session.slug, "X-Profile-Trace-Run": run}
        # What a collection takes belongs to whatever made the garbage, not to who happened to be at it.
        gc.collect()
        self.seconds = 0.0
        session.perform(browser)
        return {"seconds": self.seconds, "answers": answers}

    def _browser(self, session: Any, answers: list[Any]) -> Any:
        from recording_browser import Browser
        from werkzeug.test import Client

        demo = self

        class Inside(Browser):
            """A browser whose requests are calls."""

            def _exchange(self, method: str, url: str, **body: Any) -> Any:
                if self._cookie:
                    body["headers"] = {**body.get("headers", {}), "Cookie": f"session={self._cookie}"}
                return demo.exchange(client, method, url, body, answers)

            def _await_job(self, answer: Any) -> None:
                demo.work()
                job = answer.json().get("job_id") if answer.ok else None
                if job is not None:
                    told = self._send("GET", f"{HOST_URL}/rq-engine/api/jobinfo/{job}", 200, meta={"hasBody": False})
                    self.last_job_status = told.json()["status"]

        client = Client(self.app, use_cookies=False)
        return Inside(APP_URL, session.run_id, session.config, session.slug, recording=False)

    def exchange(self, client: Any, method: str, url: str, body: dict[str, Any], answers: list[Any]) -> Any:
        """One request, as `requests` would answer it."""
        import requests

        prepared = requests.Request(method, url, **{**body, "headers": body.get("headers", {})}).prepare()
        address = urlsplit(prepared.url or url)
        headers = {**prepared.headers, **self.headers}
        data = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body
        base = f"{address.scheme}://{address.netloc}"
        # The session cookie is marked Secure, and this is https as far as the app can tell.
        start = time.thread_time()
        given = client.open(
            address.path,
            method=method,
            base_url=base.replace("http:", "https:"),
            query_string=address.query,
            headers=headers,
            data=data,
        )
        self.seconds += time.thread_time() - start
        answer = requests.Response()
        answer.status_code = given.status_code
        answer._content = given.get_data()
        answer.headers.update(dict(given.headers))
        for header in given.headers.getlist("Set-Cookie"):
            name, _, value = header.partition(";")[0].partition("=")
            answer.cookies.set(name, value)
        answers.append([method, address.path.partition("/jobinfo/")[0], given.status_code])
        return answer

    def work(self) -> None:
        """Do the jobs that are waiting."""
        start = time.thread_time()
        self.worker.work(burst=True, logging_level="CRITICAL")
        self.seconds += time.thread_time() - start
