"""Signed headers: who has the secret is traced, once for each signature; nobody else, and nobody sees an error."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from signed_apps import APP, ENV, HARNESS, HERE, LINE, prepare
from signing import SECRET

if TYPE_CHECKING:
    from conftest import Workspace

#: In values of headers that must be found nowhere.
MARK = "mArKeD"
#: Work that starts other work; what it starts answers requests without starting more.
STARTS = """
def work():
    import os, work
    environment = {name: value for name, value in os.environ.items() if name != "PROFILE_TRACE_SECRET"}
    if len(environment) < len(os.environ):
        work.run(environment)
"""


@pytest.fixture(params=["wsgi", "asgi"])
def signed(request: pytest.FixtureRequest, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An app whose headers must be signed, called by one of the two protocols."""
    return prepare(workspace, request.param, monkeypatch)


def everything(workspace: Workspace) -> bytes:
    """Return the bytes of all files that the agent wrote, and their names."""
    files = [path for path in workspace.data.rglob("*") if path.is_file()]
    return b"\n".join([*(os.fsencode(path) for path in files), *(path.read_bytes() for path in files)])


def test_what_is_signed_is_traced_and_nothing_else(signed: Workspace) -> None:
    outcome = signed.run(
        HARNESS
        + f"""
MARK = {MARK!r}
good = headers("p", "r", "1")
assert call(good) == "on"


def refused(code, headers):
    said = call(headers)
    assert said.startswith("off; ") and code in said, (code, said, headers)
    assert said.isascii() and SECRET not in said and MARK not in said, said


refused("PT-GRANT-008", good)
for change, value in [("X-Profile-Trace", "q"), ("X-Profile-Trace-Run", "s"), ("X-Profile-Trace-Step", "2")]:
    refused("PT-GRANT-005", headers("p", "r", "1") | {{change: value}})
    if change != "X-Profile-Trace":
        less = headers("p", "r", "1")
        del less[change]
        refused("PT-GRANT-005", less)
whole = sign("p", "r", "1")
time, nonce, code = whole[3:].split(",")
changes = [(int(time) + 1, nonce, code), (time, nonce[::-1], code), (time, nonce, code[::-1])]
for changed in ["v1=" + ",".join(map(str, change)) for change in changes]:
    refused("PT-GRANT-005", good | {{"X-Profile-Trace-Signature": changed}})
# None of these used it up.
assert call(good | {{"X-Profile-Trace-Signature": whole}}) == "on"
refused("PT-GRANT-005", headers("p", "r", "1", secret=SECRET + "!"))
refused("PT-GRANT-005", headers("p", "r", "1", secret="another secret of some length", at=-4000))
refused("PT-GRANT-006", headers("p", "r", "1", at=-310))
assert call(headers("p", "r", "1", at=-290)) == "on"
refused("PT-GRANT-007", headers("p", "r", "1", at=310))
assert call(headers("p", "r", "1", at=290)) == "on"
del good["X-Profile-Trace-Signature"]
refused("PT-GRANT-003", good)
malformed = ["", MARK, "v1=", "v2" + whole[2:], whole.upper(), whole + ",", "\\xff\\0", "\\xe9" * 90, MARK * 20000]
for garbage in malformed:
    refused("PT-GRANT-004", good | {{"X-Profile-Trace-Signature": garbage}})
for slug in [MARK + "/", "../" + MARK, "", MARK + "\\n", "\\xff", MARK * 20000, ".coverage" + MARK, "p" * 200_000]:
    refused("PT-AGENT-001", headers("p") | {{"X-Profile-Trace": slug}})
for run in ["_", "-" + MARK, MARK + "/", "r" * 65, MARK * 20000, ""]:
    refused("PT-AGENT-002", good | {{"X-Profile-Trace-Run": run}})
for step in ["-1", "1.0", MARK, "", "1" * 10, "9" * 100_000, "\\xb2"]:
    refused("PT-AGENT-006", good | {{"X-Profile-Trace-Step": step}})
assert call({{"Cookie": MARK, "Authorization": MARK}}) is None
assert call(headers("p", "r", "9") | {{"Cookie": MARK, "Authorization": MARK}}, path="/y\\nLOG WARNING forged") == "on"
""",
        env=ENV,
    )
    wrote = outcome.wrote
    assert wrote.contexts() == {"profile:p": {"app.py": wrote.lines("p", "app.py")}}
    assert LINE in wrote.lines("p", "app.py")
    assert len(wrote.of_kind("p", "open", "r")) == 5
    # A directory for each run that was let in, and no other.
    assert sorted(path.name for path in (signed.data / ".playtrace").iterdir()) == [".boot", ".seen", "p"]
    assert [path.name for path in (signed.data / ".playtrace" / "p").iterdir()] == ["r"]
    for kept in (outcome.out.encode(), outcome.err.encode(), everything(signed)):
        assert MARK.encode() not in kept
        assert SECRET.encode() not in kept
    assert not any(line.startswith("LOG WARNING forged") for line in outcome.err.splitlines())


def test_refusals_are_counted_and_said_at_the_first_the_tenth_and_the_hundredth(signed: Workspace) -> None:
    outcome = signed.run(
        HARNESS
        + """
for _ in range(250):
    assert "PT-GRANT-003" in call({"X-Profile-Trace": "p"})
for n in range(15):
    assert "PT-AGENT-001" in call({"X-Profile-Trace": "p" * n + "/"})
""",
        env=ENV,
    )
    said = [line.split(" in process")[0] for line in outcome.err.splitlines() if "not traced" in line]
    assert [line.split(": ")[1] + line.split("(")[-1] for line in said] == [
        "GET /x" + count + " so far" for count in ("1", "10", "100", "1", "10")
    ]
    assert outcome.wrote.shards() == []
    # The boot record has the last word at the end of the process.
    told = {
        record["reason"].rpartition("[")[2]: record["count"]
        for record in sorted(outcome.wrote.records(".boot", ""), key=lambda record: record["at"])
        if record["t"] == "refused"
    }
    assert told == {"PT-GRANT-003]": 250, "PT-AGENT-001]": 15}


def test_work_that_a_request_starts_is_not_asked_again(signed: Workspace) -> None:
    """Threads, forks and programs inherit; so does a program that has no secret, which lets nobody else in."""
    signed.write(
        "work.py",
        """
        def run(environment):
            import os, subprocess, sys, threading
            thread = threading.Thread(target=thread_of)
            thread.start()
            thread.join()
            child = os.fork()
            if not child:
                fork_of()
                os._exit(0)
            os.waitpid(child, 0)
            subprocess.run([sys.executable, "program.py"], check=True, env=environment)


        def thread_of():
            return "thread"


        def fork_of():
            return "fork"


        def program_of():
            return "program"
        """,
    )
    signed.write(
        "program.py",
        HARNESS
        + """
import work
work.program_of()
assert "PROFILE_TRACE_SECRET" not in os.environ and os.environ["PROFILE_TRACE_SIGNED"] == "1"
# It works for the run as a whole; another one's request is not let in, signed or not.
for unsigned in [{"X-Profile-Trace": "q"}, headers("q")]:
    assert "PT-GRANT-010" in call(unsigned), call(unsigned)
""",
    )
    signed.write("app.py", APP.replace("def work():\n", STARTS))
    outcome = signed.run(HARNESS + "\nassert call(headers('p', 'r', '1')) == 'on'\n", env=ENV, warnings="default")
    lines = set(outcome.wrote.lines("p", "work.py"))
    text = (signed.app / "work.py").read_text().splitlines()
    assert {text.index(f'    return "{what}"') + 1 for what in ("thread", "fork", "program")} <= lines
    assert not (signed.data / ".playtrace" / "q").exists()


def test_networks(signed: Workspace) -> None:
    """Without a secret, those who come from there; with one, those who sign as well."""
    driver = (
        HARNESS
        + """
plain = {"X-Profile-Trace": "p"}
inside, outside = ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::7"], ["192.0.2.1", "::1", "10.1.2.3, 192.0.2.1", "x"]
assert {call(plain, peer) for peer in inside} == {"on" if "PROFILE_TRACE_SECRET" not in os.environ else UNSIGNED}
for peer in [*outside, ""]:
    assert "PT-GRANT-009" in call(headers("p") | {"X-Forwarded-For": "10.1.2.3"}, peer), peer
assert {call(headers("p"), peer) for peer in inside} == {"on"}
"""
    ).replace("UNSIGNED", repr("off; the header must be signed (X-Profile-Trace-Signature) [PT-GRANT-003]"))
    allow = "10.0.0.0/8, 2001:db8::/32"
    signed.run(driver, env={"PROFILE_TRACE_ALLOW": allow})
    signed.run(driver, env={"PROFILE_TRACE_ALLOW": allow, "PROFILE_TRACE_SECRET": SECRET})
    signed.run(HARNESS + "\nassert call({'X-Profile-Trace': 'p'}, '') == 'on'\n", env={"PROFILE_TRACE_ALLOW": "unix"})


def test_the_documented_example_is_what_the_agent_takes() -> None:
    """The value in `docs/reference/signed-headers.md` is OpenSSL's, too (`crates/grant`)."""
    page = (HERE.parents[1] / "docs" / "reference" / "signed-headers.md").read_text()
    code = page.split("```python\n", 1)[1].split("```", 1)[0]
    space: dict[str, object] = {}
    exec(compile(code, "signed-headers.md", "exec"), space)
    made = space["signature"](SECRET, "legacy-palouse", "check-1", 3, time=1790000000, nonce="0123456789abcdef")  # type: ignore[operator]
    assert made == (
        "v1=1790000000,0123456789abcdef,b9e995ece31629ef4d2ab9a98541faab829be1acb03a03379d9cb902cabc2857"
    )
    assert made in page
