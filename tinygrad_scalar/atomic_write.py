"""Atomic file writes: an interrupted or failed write leaves the old file as it was."""

from __future__ import annotations

import os
from pathlib import Path


def _is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether the path is a pipe or a device such as /dev/stdout, which cannot be replaced, only written to."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def require_writable(path: str | os.PathLike[str]) -> Path:
    """The file behind `path`. Raises an OSError that says why if it cannot be written."""
    if _is_stream(path):
        return Path(path)
    target = Path(path).resolve()  # a link stays a link to the new file
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the name of a file")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {target.parent}")
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise PermissionError(f"cannot write {path}: permission denied")
    return target


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to a temporary file in the same folder, then `replace` `path`; raises as `require_writable`."""
    target = require_writable(path)
    if _is_stream(path):
        Path(path).write_bytes(content)
        return
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        if target.exists():
            partial.chmod(target.stat().st_mode)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
