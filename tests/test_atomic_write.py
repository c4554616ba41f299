"""`write_atomically`: a file is replaced as a whole or stays as it was."""

import os
import stat
from pathlib import Path

import pytest

from tinygrad_scalar.atomic_write import write_atomically


def test_while_a_file_is_written_the_old_one_is_there_to_read(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    seen = []
    original = Path.replace

    def note(self, target):
        seen.append((path.read_bytes(), self.read_bytes(), self.parent))
        return original(self, target)

    monkeypatch.setattr(Path, "replace", note)
    write_atomically(path, b"new")
    assert seen == [(b"old", b"new", tmp_path)]  # in the same folder: a rename across file systems is a copy
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("there", [True, False])
def test_writing_through_a_link_writes_the_file_and_keeps_the_link(there, tmp_path):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    if there:
        target.write_bytes(b"old")
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["target"]


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_writing_a_file_again_keeps_who_may_read_it(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"old")
    path.chmod(0o600)
    write_atomically(path, b"new")
    assert stat.filemode(path.stat().st_mode) == "-rw-------"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_written_to_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(pipe, b"gone through")
    assert os.read(reader, 100) == b"gone through"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_an_error_that_says_so(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="permission denied"):
        write_atomically(tmp_path / "file", b"new")
