"""A run as a zip file."""

from __future__ import annotations

import zipfile
from pathlib import Path

from weppdemo.workspace import Workspace

# Zip files hold a time per member; one fixed time makes equal runs equal archives.
_EPOCH = (2000, 1, 1, 0, 0, 0)


def members(workspace: Workspace) -> list[Path]:
    """The files that an archive holds: all but locks, archives and hidden files, sorted."""
    found: list[Path] = []
    for path in sorted(workspace.directory.rglob("*")):
        parts = path.relative_to(workspace.directory).parts
        hidden = any(part.startswith(".") for part in parts)
        if path.is_file() and not hidden and parts[0] != "archives" and "locks" not in parts:
            found.append(path)
    return found


def pack(workspace: Workspace, name: str) -> int:
    """Write the archive; returns how many files it holds."""
    found = members(workspace)
    with zipfile.ZipFile(workspace.path("archives", name), "w", zipfile.ZIP_DEFLATED) as bundle:
        for path in found:
            entry = zipfile.ZipInfo(str(path.relative_to(workspace.directory)), _EPOCH)
            bundle.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return len(found)


def listing(workspace: Workspace, name: str) -> list[dict[str, object]]:
    """What an archive holds: names and sizes."""
    with zipfile.ZipFile(workspace.path("archives", name)) as bundle:
        return [{"name": entry.filename, "size": entry.file_size} for entry in bundle.infolist()]
