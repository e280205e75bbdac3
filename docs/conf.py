"""How Sphinx makes a site of this directory. `make docs` runs it; `docs/_site/build.py` says with what."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "_site"))

import generated

project = "playtrace"
author = "the playtrace authors"
copyright = "the playtrace authors"  # noqa: A001 - Sphinx's name for it

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
# `messages.md` is put together from `messages/`; what is to be pasted is shown by a page of its own.
exclude_patterns = ["_site", "messages", "paste", "schema"]
myst_enable_extensions = ["colon_fence", "deflist"]
# Links to headings are checked, like links to pages.
myst_heading_anchors = 4
suppress_warnings: list[str] = []

html_theme = "furo"
html_title = "playtrace"
html_static_path: list[str] = []
html_show_sphinx = False
html_copy_source = False
# Equal sources give an equal site.
html_last_updated_fmt = None


def setup(app: Any) -> None:
    """Fill in what is generated from the program and the schemas."""
    app.add_config_value("playtrace_program", None, "env", (str,))
    app.connect("source-read", fill_in)


def fill_in(app: Any, _page: str, source: list[str]) -> None:
    """Replace each `<!-- generated: … -->` of a page by what it names."""
    source[0] = generated.fill_in(source[0], Path(app.config.playtrace_program), Path(app.srcdir))
