"""`tinygrad-scalar notebooks`: copies the notebooks, keeps what is there, and starts JupyterLab where there is one."""

import contextlib
import subprocess
import sys
import types

import pytest

from tinygrad_scalar.cli import main as cli, notebooks

NAMES = {path.name for path in notebooks.SOURCE.iterdir() if path.suffix in (".ipynb", ".md")}


@pytest.fixture(autouse=True)
def without_jupyterlab(monkeypatch):
    monkeypatch.setattr(notebooks, "has_jupyterlab", lambda: False)


def test_all_notebooks_are_copied_byte_for_byte(tmp_path, capsys):
    assert cli.main(["notebooks", str(tmp_path / "new")]) == 0
    copied = {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()}
    assert copied == {name: (notebooks.SOURCE / name).read_bytes() for name in NAMES}
    assert f"{len(NAMES)} files copied\n" in capsys.readouterr().out


def test_without_a_folder_they_go_into_one_below(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["notebooks"]) == 0
    assert {path.name for path in (tmp_path / "tinygrad-scalar-notebooks").iterdir()} == NAMES


def test_a_notebook_that_is_there_already_is_kept(tmp_path, capsys):
    mine = min(NAMES)
    (tmp_path / mine).write_text("with my answers")
    assert cli.main(["notebooks", str(tmp_path)]) == 0
    assert (tmp_path / mine).read_text() == "with my answers"
    assert {path.name for path in tmp_path.iterdir()} == NAMES
    assert "1 already there and kept" in capsys.readouterr().out


def test_without_jupyterlab_it_says_how_to_get_it(tmp_path, capsys):
    cli.main(["notebooks", str(tmp_path)])
    assert 'pip install "tinygrad_scalar[notebooks]"' in capsys.readouterr().out


def test_jupyterlab_is_started_on_the_folder(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(notebooks, "has_jupyterlab", lambda: True)
    monkeypatch.setattr(notebooks, "open_jupyterlab", lambda *given: started.append(given) or 0)
    (tmp_path / min(NAMES)).write_text("with my answers")
    assert cli.main(["notebooks", str(tmp_path)]) == 0
    assert started == [(str(tmp_path), sorted(NAMES)[1:])]


def test_the_exit_code_is_jupyterlabs(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "has_jupyterlab", lambda: True)
    monkeypatch.setattr(notebooks, "open_jupyterlab", lambda folder, ours: 1)
    assert cli.main(["notebooks", str(tmp_path)]) == 1


def test_jupyterlab_runs_until_it_ends_and_ctrl_c_is_its_own(tmp_path, monkeypatch):
    popen = subprocess.Popen

    class Interrupted(popen):
        """A process whose first wait is interrupted by Ctrl-C."""

        interrupts = 1

        def wait(self, timeout=None):
            if self.interrupts:
                self.interrupts -= 1
                raise KeyboardInterrupt
            return super().wait(timeout)

    def instead(command):
        assert command == [sys.executable, "-m", "jupyterlab", str(tmp_path)]
        return Interrupted([sys.executable, "-c", "raise SystemExit(7)"])

    monkeypatch.setattr(notebooks.subprocess, "Popen", instead)
    monkeypatch.setitem(sys.modules, "nbformat", types.SimpleNamespace(read=None, sign=None))
    assert notebooks.open_jupyterlab(tmp_path, []) == 7


@pytest.mark.thorough
def test_what_was_copied_is_trusted(tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="comes with the notebooks extra")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setattr(notebooks.subprocess, "Popen", lambda command: contextlib.nullcontext(Ended()))
    names, _ = notebooks.copy_notebooks(tmp_path)
    mine, theirs = [name for name in names if name.endswith(".ipynb")][:2]
    assert notebooks.open_jupyterlab(tmp_path, [mine, "errata.md"]) == 0
    notary = nbformat.sign.NotebookNotary()
    assert notary.check_signature(nbformat.read(tmp_path / mine, as_version=4))
    assert not notary.check_signature(nbformat.read(tmp_path / theirs, as_version=4))


class Ended:
    """A process that has ended."""

    def wait(self):
        return 0


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert cli.main(["notebooks", str(tmp_path / "file")]) == 2
    assert (tmp_path / "file").read_text() == "mine"
    assert capsys.readouterr().err.count("\n") == 1
