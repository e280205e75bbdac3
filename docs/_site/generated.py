"""What pages take from the program and from the schemas: `<!-- generated: commands -->` in a page stands for it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_PLACE = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def fill_in(text: str, program: Path, docs: Path) -> str:
    """The page with its generated parts. Raises `KeyError` for a part that there is not."""
    parts = {"commands": lambda: "\n".join(commands(program)), "schemas": lambda: "\n".join(schemas(docs / "schema"))}
    return _PLACE.sub(lambda found: parts[found[1]](), text)


# Commands ------------------------------------------------------------------------------------------


def commands(program: Path, *path: str) -> Iterator[str]:
    """Every command with its help, those of commands included, in the program's order."""
    text = helped(program, *path)
    if path:
        yield f"{'#' * (len(path) + 1)} `playtrace {' '.join(path)}`\n"
    yield f"```text\n{text}\n```\n"
    for name in subcommands(text):
        yield from commands(program, *path, name)


def helped(program: Path, *path: str) -> str:
    """What `--help` says. Where the environment holds a default, clap would show it: there is none."""
    env = {"COLUMNS": "100", "NO_COLOR": "1"}
    done = subprocess.run([program, *path, "--help"], env=env, capture_output=True, text=True, check=True)
    return done.stdout.rstrip()


def subcommands(text: str) -> list[str]:
    """The names in the list of commands of a help text, but for `help`."""
    _, _, after = text.partition("\nCommands:\n")
    listed, _, _ = after.partition("\n\n")
    return [name for name in re.findall(r"^  (\S+)", listed, re.MULTILINE) if name != "help"]


# Schemas -------------------------------------------------------------------------------------------


def schemas(directory: Path) -> Iterator[str]:
    """Each JSON document that playtrace writes: what it is, and its keys."""
    for path in sorted(directory.glob("*.schema.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        yield f"## {schema['title']}\n"
        if "description" in schema:
            yield f"{schema['description']}\n"
        yield f"Schema: {{download}}`{path.name} <../schema/{path.name}>`\n"
        yield "| key | type | |\n|---|---|---|"
        yield from rows(schema, schema)
        yield ""


def rows(schema: dict[str, Any], whole: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """A row for each key, and for each key in it; `[]` stands for an item, `{}` for any name."""
    required = set(schema.get("required", ()))
    for key, value in schema.get("properties", {}).items():
        path = f"{prefix}{key}"
        said = " ".join([*(value.get("description", "").split()), *([] if key in required else ["(may be absent)"])])
        yield f"| `{path}` | {kind(value)} | {said.replace('|', chr(92) + '|')} |"
        yield from below(value, whole, path)


def below(value: dict[str, Any], whole: dict[str, Any], path: str) -> Iterator[str]:
    """The keys of what a key holds."""
    for step, inner in (("[]", value.get("items")), ("{}", value.get("additionalProperties"))):
        if isinstance(inner, dict):
            yield from of_object(inner, whole, f"{path}{step}.")
    yield from of_object(value, whole, f"{path}.")


def of_object(value: dict[str, Any], whole: dict[str, Any], prefix: str) -> Iterator[str]:
    """The keys of an object, those that it takes from a definition first."""
    for part in value.get("allOf", ()):
        yield from of_object(part, whole, prefix)
    if "$ref" in value:
        yield from of_object(whole["$defs"][value["$ref"].rsplit("/", 1)[-1]], whole, prefix)
    else:
        yield from rows(value, whole, prefix)


def kind(value: dict[str, Any]) -> str:
    """A key's type in a few words."""
    if "const" in value:
        return f"`{json.dumps(value['const'])}`"
    if "enum" in value:
        return ", ".join(f"`{json.dumps(choice)}`" for choice in value["enum"])
    if "$ref" in value:
        return str(value["$ref"].rsplit("/", 1)[-1])
    types = value.get("type", "any")
    return " or ".join(types) if isinstance(types, list) else str(types)
