"""The site of the documentation: built by Sphinx, to which every warning is an error."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from tests import documents
from tests.documents import DOCS
from tests.oracle import surroundings
from tests.support import Ended, run

BUILD = DOCS / "_site" / "build.py"
BUILD_SECONDS = 200.0


def build(out: Path, source: Path = DOCS) -> Ended:
    """Build it, as `make docs` does."""
    argv: list[str | Path] = [
        sys.executable,
        BUILD,
        "--program",
        surroundings.program(),
        "--out",
        out,
        "--source",
        source,
    ]
    return run(argv, dict(os.environ), timeout=BUILD_SECONDS)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site."""
    out = tmp_path_factory.mktemp("site") / "docs"
    ended = build(out).expect(0)
    assert ended.err == "", "Sphinx has nothing to say"
    return out


def words(page: Path) -> str:
    """What a page of the site says, without its markup."""
    text = re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")


def test_the_site_has_every_page(site: Path) -> None:
    left_out = {"_site", "messages", "paste", "schema"}
    pages = [page for page in DOCS.rglob("*.md") if page.relative_to(DOCS).parts[0] not in left_out]
    assert len(pages) > 30
    for page in pages:
        assert (site / page.relative_to(DOCS)).with_suffix(".html").is_file(), page


def test_the_reference_has_every_command_and_option(site: Path) -> None:
    said = " ".join(words(site / "reference" / "commands.html").split())

    def look(*path: str) -> int:
        text = documents.help_of(*path)
        for option in re.findall(r"^ +(?:-\w, )?(--[\w-]+)", text, re.MULTILINE):
            assert option in said, (path, option)
        inner = documents.commands_in(text) - {"help"}
        for name in inner:
            assert f"playtrace {' '.join((*path, name))}" in said
        return len(inner) + sum(look(*path, name) for name in inner)

    assert look() >= 18


def test_no_default_of_this_machine_is_in_the_reference(site: Path) -> None:
    """clap shows what the environment holds, and Sphinx runs in some directory."""
    said = words(site / "reference" / "commands.html")
    home = os.environ.get("HOME", "/")
    assert home == "/" or home not in said
    assert str(surroundings.REPOSITORY) not in said


def test_the_reference_has_every_key_of_every_schema(site: Path) -> None:
    said = words(site / "reference" / "schemas.html")

    def keys(value: object) -> set[str]:
        if isinstance(value, dict):
            own = set(value["properties"]) if isinstance(value.get("properties"), dict) else set()
            return own.union(*(keys(inner) for inner in value.values())) if value else own
        return set[str]().union(*(keys(inner) for inner in value)) if isinstance(value, list) else set()

    schemas = sorted((DOCS / "schema").glob("*.schema.json"))
    assert schemas
    for schema in schemas:
        document = json.loads(schema.read_text(encoding="utf-8"))
        assert schema.name in said
        for key in keys(document):
            assert re.search(rf"(?<!\w){re.escape(key)}(?!\w)", said), f"{schema.name}: {key}"


def test_messages_can_be_found_by_their_id(site: Path) -> None:
    said = words(site / "messages.html")
    source = "\n".join(part.read_text(encoding="utf-8") for part in (DOCS / "messages").glob("*.md"))
    codes = set(re.findall(r"^\| (PT-[A-Z-]+\d+)", source, re.MULTILINE))
    assert len(codes) > 50
    assert {code for code in codes if code not in said} == set()
    page = (DOCS / "how-to" / "troubleshoot.md").read_text(encoding="utf-8")
    named = set(re.findall(r"PT-[A-Z]+(?:-[A-Z]+)*-\d+", page))
    assert named
    assert named <= codes


def test_broken_links_fail(tmp_path: Path) -> None:
    """To a page and to a heading that are not there, in a site of two pages."""
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in ("_site", "conf.py"):
        (docs / name).symlink_to(DOCS / name)
    (docs / "index.md").write_text("# Site\n\n```{toctree}\nfaq\n```\n", encoding="utf-8")
    page, links = docs / "faq.md", "[one](index.md#site), [two](faq.md)"
    page.write_text(f"# Questions\n\n{links}\n", encoding="utf-8")
    assert build(tmp_path / "out", docs).expect(0).err == ""
    page.write_text(f"# Questions\n\n{links}, [a](no-such-page.md), [b](index.md#no-such-heading)\n", encoding="utf-8")
    ended = build(tmp_path / "out", docs)
    assert ended.code != 0
    said = [line for line in ended.err.splitlines() if line]
    assert len(said) == 2, ended.err
    assert "faq.md:3" in said[0]
    assert "no-such-page.md" in said[0]
    assert "faq.md:3" in said[1]
    assert "no-such-heading" in said[1]
