"""Atomic file writes: an interrupted or failed write leaves the old file as it was.

The same holds when many threads, processes or machines write one file: each reader finds one of the files as a whole.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_STREAM = re.compile(r"/dev/std(out|err)|/dev/fd/\d+|/proc/[^/]+/fd/\d+")  # they stay streams when sent to a file


def _mode(path: str | os.PathLike[str]) -> int | None:
    """The type and permission bits of the file; None if there is none. OSError for a name that cannot be one."""
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is_stream(path: str | os.PathLike[str], mode: int | None) -> bool:
    """Whether the path is a pipe or a device such as /dev/stdout, which cannot be replaced, only written to."""
    if mode is None or stat.S_ISDIR(mode):
        return False
    return not stat.S_ISREG(mode) or _STREAM.fullmatch(os.path.abspath(path)) is not None


def required_path(path: str | os.PathLike[str], what: str = "file") -> Path:
    """The path of a file, or of `what`, unless it is empty, which would be this folder."""
    if not os.fspath(path):
        raise ValueError(f"the path is empty; give the name of a {what}")
    return Path(path)


def require_writable(path: str | os.PathLike[str]) -> Path:
    """The file behind `path`. Raises an OSError or a ValueError that says why if it cannot be written."""
    mode = _mode(required_path(path))
    if _is_stream(path, mode):
        return Path(path)
    target = Path(path).resolve()  # a link stays a link to the new file
    if target.is_dir() or os.fspath(path).endswith(("/", os.sep)):  # Path drops a slash at the end
        raise IsADirectoryError(f"{os.fspath(path)} is a folder; give the name of a file")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {target.parent}")
    for needed in (target.parent, target):  # the folder too: the new file comes into being in it
        if needed.exists() and not os.access(needed, os.W_OK):
            raise PermissionError(f"cannot write {path}: permission denied for {needed}")
    return target


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to a temporary file in the same folder, then `replace` `path`; raises as `require_writable`."""
    target = require_writable(path)
    mode = _mode(path)
    try:
        if _is_stream(path, mode):
            with open(path, "ab") as stream:  # appended, as everything that is printed
                stream.write(content)
        else:
            _replace(target, content, mode)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None  # not the temporary file's name


def _replace(target: Path, content: bytes, mode: int | None) -> None:
    """`target` becomes a file of this content, with the permissions in `mode` or those of any new file."""
    remove_partial_files(target)
    partial, file = _new_partial_file(target)
    try:
        with file:
            if mode is not None:
                os.chmod(partial, stat.S_IMODE(mode))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # before the rename: after a power failure, the new name must hold no empty file
            if os.name == "posix":  # while it is locked; elsewhere an open file cannot be renamed
                os.replace(partial, target)
        if os.name != "posix":
            os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    _keep_name(target.parent)


def _new_partial_file(target: Path) -> tuple[Path, BinaryIO]:
    """A file beside `target`, locked until it is closed, or until the process is killed."""
    while True:
        number = os.urandom(8).hex()  # a process id is not unique among containers
        partial = target.with_name(f"{_begin_of_partial(target)}{number}.partial")
        file = open(partial, "xb")  # noqa: SIM115
        if not _lock(file, wait=True) or os.fstat(file.fileno()).st_nlink:
            return partial, file
        file.close()  # another process took it for one that was left behind


def remove_partial_files(target: Path) -> None:
    """Remove what killed processes left when they wrote `target`, but nothing that is being written."""
    for partial in target.parent.glob(f"{_begin_of_partial(target)}*.partial"):
        with suppress(OSError), open(partial, "r+b") as file:
            if _lock(file, wait=False):
                partial.unlink()


def _begin_of_partial(target: Path) -> str:
    """How the names of its partial files begin: of one length, however long its own name is."""
    return f".{hashlib.blake2b(os.fsencode(target.name), digest_size=4).hexdigest()}-"


def _lock(file: BinaryIO, wait: bool) -> bool:
    """Lock the file against other processes; whether that succeeded, which it cannot on every system."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _keep_name(folder: Path) -> None:
    """Let a rename in the folder survive a power failure, where the file system can; the file is whole in any case."""
    if os.name != "posix":
        return  # only there can a folder be opened
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
