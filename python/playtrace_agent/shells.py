"""Shell commands that start a Python with an environment of their own: what they say of it, it is not asked for.

Whose child it is, a process learns from its environment. What a command line shows, the verdict can name; what a script
does inside, it can't (`crates/ledger/src/judge.rs` has a note for every program that may be one).
"""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_SHELLS = frozenset({"sh", "dash", "bash", "zsh", "ksh", "ash"})
#: Words that may come before a command, and change nothing of its environment.
_BEFORE = frozenset(
    {"!", "{", "if", "then", "else", "elif", "while", "until", "do", "time", "command", "nohup", "exec"}
)
#: Options of ``env`` and ``exec`` whose value is a word of its own.
_TAKES = frozenset({"-u", "-C", "-a", "--unset", "--chdir"})
_SHORT = re.compile(r"-[A-Za-z]+\Z")
_COMMENT = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
#: A command in a command in a command.
_DEEPEST = 4


def emptied(words: Sequence[str], is_python: Callable[[str], bool], *, shell: bool) -> str | None:
    """Return the part of a command that starts a Python whose environment the command has emptied, if one is seen.

    ``words`` are a shell's command in one word if ``shell`` is true, a program and its arguments otherwise.
    """
    found = _in_text(words[0], is_python, 0, bare=False) if shell and words else _in_command(words, is_python, 0)
    return None if found is None else shlex.join(found)[:100]


def _in_text(text: str, is_python: Callable[[str], bool], depth: int, *, bare: bool) -> Sequence[str] | None:
    if depth > _DEEPEST:
        return None
    for words in _commands(text):
        found = _in_command(words, is_python, depth, bare=bare)
        if found is not None:
            return found
    return None


def _commands(text: str) -> Iterator[list[str]]:
    """Split a shell's command into simple ones; what is none of the shell's language is none of ours."""
    text = _COMMENT.sub("", text.replace("\\\n", " ")).replace("\n", ";")
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|()`")
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        for word in lexer:
            if set(word) <= set(";&|()`"):
                yield words
                words = []
            else:
                words.append(word)
    except ValueError:
        # A quotation that does not end: a here document's, or the shell says what is wrong.
        return
    yield words


def _in_command(
    words: Sequence[str], is_python: Callable[[str], bool], depth: int, *, bare: bool = False
) -> Sequence[str] | None:
    """Look at a simple command; ``bare``: its shell's environment is empty already."""
    rest = list(words)
    while rest and (rest[0] in _BEFORE or _ASSIGNMENT.match(rest[0])):
        # A shell's own way: `exec -c`.
        if rest.pop(0) == "exec":
            bare = bare or "-c" in _options(rest)
    while rest and Path(rest[0]).name == "env":
        rest.pop(0)
        bare = any(_empties(option) for option in _options(rest)) or bare
        while rest and "=" in rest[0]:
            rest.pop(0)
    if not rest:
        return None
    if Path(rest[0]).name in _SHELLS:
        # `-ec` and its like, too.
        texts = [text for option, text in itertools.pairwise(rest[1:]) if _SHORT.match(option) and option[-1] == "c"]
        return _in_text(texts[0], is_python, depth + 1, bare=bare) if texts else None
    return words if bare and is_python(rest[0]) else None


def _options(rest: list[str]) -> list[str]:
    """Take the options off the beginning of what is left of a command."""
    options = []
    while rest and rest[0].startswith("-"):
        options.append(rest.pop(0))
        if options[-1] in _TAKES and rest:
            rest.pop(0)
    return options


def _empties(option: str) -> bool:
    """Say whether an option of ``env`` takes everything away."""
    return option in ("-", "--ignore-environment") or (_SHORT.match(option) is not None and "i" in option)
