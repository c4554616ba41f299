"""`write_atomically`: a file is replaced as a whole or stays as it was, whoever else writes it."""

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import tinygrad_scalar as ts
from tinygrad_scalar.atomic_write import write_atomically
from tinygrad_scalar.cli.notebooks import copy_notebooks
from tinygrad_scalar.datasets import read_csv

POSIX = pytest.mark.skipif(os.name != "posix", reason="of a POSIX system")


def test_while_a_file_is_written_the_old_one_is_there_to_read(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    seen = []
    original = os.replace

    def note(partial, target):
        seen.append((path.read_bytes(), Path(partial).read_bytes(), Path(partial).parent))
        return original(partial, target)

    monkeypatch.setattr(os, "replace", note)
    write_atomically(path, b"new")
    assert seen == [(b"old", b"new", tmp_path)]  # in the same folder: a rename across file systems is a copy
    assert path.read_bytes() == b"new"


# --- many writers ----------------------------------------------------------------------------------------------------

WRITE = """
import os, sys
from tinygrad_scalar.atomic_write import write_atomically
os.getpid = lambda: 1  # as in containers that share a folder
for i in range(100):
    write_atomically(sys.argv[1], sys.argv[2].encode() * 200_000)
"""


@POSIX  # Windows does not replace a file that is being read: an error there, never a torn file
@pytest.mark.thorough
def test_writers_in_threads_and_processes_of_one_id_never_disturb_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 1)
    path = tmp_path / "file"
    path.write_bytes(b"0" * 200_000)
    failed = []

    def write(letter):
        try:
            for _ in range(100):
                write_atomically(path, letter * 200_000)
        except BaseException as error:
            failed.append(error)

    processes = [subprocess.Popen([sys.executable, "-c", WRITE, path, letter]) for letter in "ab"]
    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"c", b"d", b"e")]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) or any(process.poll() is None for process in processes):
        content = path.read_bytes()
        assert content == content[:1] * 200_000
    for thread in threads:
        thread.join()
    assert not failed
    assert [process.wait() for process in processes] == [0, 0]
    assert list(tmp_path.iterdir()) == [path]


# --- killed writers --------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from tinygrad_scalar.atomic_write import write_atomically
os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
write_atomically(sys.argv[1], b"new")
"""


def killed_while_writing(path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL


@POSIX
def test_what_a_killed_writer_left_goes_with_the_next_write_of_that_file_alone(tmp_path):
    path, other = tmp_path / ("a" * 255), tmp_path / "other"
    path.write_bytes(b"old")
    for target in (path, path, other):
        killed_while_writing(target)
    (tmp_path / ".mine.partial").write_bytes(b"")
    assert (path.read_bytes(), len(list(tmp_path.iterdir()))) == (b"old", 4)  # the second write has removed one
    write_atomically(path, b"new")
    names = [entry.name for entry in tmp_path.iterdir()]
    assert path.read_bytes() == b"new"
    assert len(names) == 3  # with what was left of the other
    write_atomically(other, b"new")
    assert {entry.name for entry in tmp_path.iterdir()} == {path.name, other.name, ".mine.partial"}


@POSIX
def test_a_file_that_is_being_written_is_not_taken_for_one_that_was_left(tmp_path, monkeypatch):
    path = tmp_path / "file"
    original, nested = os.fsync, []

    def in_between(file):
        if not nested:
            nested.append(True)
            write_atomically(path, b"in between")
        return original(file)

    monkeypatch.setattr(os, "fsync", in_between)
    write_atomically(path, b"last")
    assert path.read_bytes() == b"last"
    assert list(tmp_path.iterdir()) == [path]


class Interrupted(BaseException):
    """Like KeyboardInterrupt, not stopped by `except Exception`."""


@pytest.mark.parametrize("where", ["chmod", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), Interrupted()], ids=["full", "interrupted"])
def test_a_write_that_fails_anywhere_leaves_the_old_file_and_nothing_beside_it(where, error, tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*arguments):
        raise error

    monkeypatch.setattr(os, where, fail)
    with pytest.raises(type(error)) as caught:
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    assert getattr(caught.value, "filename", str(path)) == str(path)  # the user's name, not the temporary file's


# --- names, links and permissions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "x"], ids=["255 letters", "254 bytes", "one letter"])
@pytest.mark.parametrize("there", [True, False])
def test_every_name_that_a_file_can_have_can_be_written(name, there, tmp_path):
    path = tmp_path / name
    if there:
        path.write_bytes(b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@POSIX
@pytest.mark.parametrize("name", ["x" * 256, "é" * 128, "x/" * 3000 + "x"])
def test_a_name_that_no_file_can_have_is_an_error_that_says_so(name, tmp_path):
    with pytest.raises(OSError, match="name too long") as caught:
        write_atomically(tmp_path / name, b"new")
    assert caught.value.filename == str(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


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


@POSIX
def test_writing_a_file_again_keeps_who_may_read_it(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"old")
    path.chmod(0o600)
    write_atomically(path, b"new")
    assert stat.filemode(path.stat().st_mode) == "-rw-------"


@POSIX
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_permissions_of_any_new_file(umask, tmp_path):
    before = os.umask(umask)
    try:
        (tmp_path / "any").write_bytes(b"")
        write_atomically(tmp_path / "file", b"new")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "any").stat().st_mode


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("there", [True, False])
def test_a_folder_that_may_not_be_written_to_is_an_error_that_says_so(there, tmp_path):
    if there:
        (tmp_path / "file").write_bytes(b"old")
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="permission denied"):
        write_atomically(tmp_path / "file", b"new")


# --- pipes and devices -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_written_to_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(pipe, b"gone through")
    assert os.read(reader, 100) == b"gone through"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_a_full_device_is_an_error_that_names_it():
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        write_atomically("/dev/full", b"new")


@pytest.mark.parametrize("name", [*filter(os.path.exists, ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])])
def test_standard_output_sent_to_a_file_is_added_to_and_the_file_not_replaced(name, tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"before\n")
    program = f"from tinygrad_scalar.atomic_write import write_atomically; write_atomically({name!r}, b'written\\n')"
    with log.open("ab") as output:
        subprocess.run([sys.executable, "-c", program + "; print('printed')"], stdout=output, check=True)
    assert log.read_bytes() == b"before\nwritten\nprinted\n"


EMPTY_PATHS = {
    "write_atomically": lambda: write_atomically("", b""),
    "save": lambda: ts.save(ts.MLP(1, [1]), ""),
    "load": lambda: ts.load(""),
    "read_csv": lambda: read_csv(""),
    "copy_notebooks": lambda: copy_notebooks(""),
}


@pytest.mark.parametrize("name", EMPTY_PATHS)
def test_an_empty_path_is_called_empty(name):
    with pytest.raises(ValueError, match=r"the path is empty; give the name of a (file|folder)"):
        EMPTY_PATHS[name]()


def test_a_path_with_a_slash_at_its_end_is_no_file(tmp_path):
    path = tmp_path / "file"
    for _ in range(2):  # no file of that name, and one
        with pytest.raises(IsADirectoryError, match="/ is a folder; give the name of a file"):
            write_atomically(f"{path}/", b"new")
        path.write_bytes(b"old")
    assert path.read_bytes() == b"old"


def test_a_number_is_no_path():
    with pytest.raises(TypeError, match="not int"):
        write_atomically(10**400, b"")


@POSIX
def test_the_file_is_synchronised_before_its_new_name_and_the_folder_after_it(tmp_path, monkeypatch):
    done, sync, replace = [], os.fsync, os.replace

    def note_sync(descriptor):
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def note_replace(partial, target):
        done.append("replace")
        replace(partial, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    write_atomically(tmp_path / "file", b"new")
    assert done == ["file", "replace", "folder"]


@POSIX
def test_a_folder_that_cannot_be_synchronised_is_no_error(tmp_path, monkeypatch):
    sync = os.fsync

    def refuse_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(22, "Invalid argument")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
