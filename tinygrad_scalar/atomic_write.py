"""Writing a file whole or not at all: an interrupted or failed write leaves what was there before."""

from __future__ import annotations

import os
from pathlib import Path


def _is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether it is a pipe or a device, as /dev/stdout, which is written to and cannot be replaced."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def require_writable(path: str | os.PathLike[str]) -> Path:
    """The file that `path` stands for. Raises an OSError that says why if nothing can be written there."""
    if _is_stream(path):
        return Path(path)
    target = Path(path).resolve()  # through a link to the file it stands for
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the name of a file")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {target.parent}")
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise PermissionError(f"cannot write {path}: permission denied")
    return target


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path` by way of a file beside it that then takes its place; raises as `require_writable`."""
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
