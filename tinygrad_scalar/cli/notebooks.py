"""`tinygrad-scalar notebooks`: the tutorial notebooks, copied to a folder and opened in JupyterLab."""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tinygrad_scalar.atomic_write import required_path, write_atomically
from tinygrad_scalar.cli.command import Command
from tinygrad_scalar.screen import counted, printable

_HERE = Path(__file__).parent.parent
# In a checkout notebooks/ is beside the package; in an installation, inside it.
SOURCE = _HERE / "notebooks" if (_HERE / "notebooks").is_dir() else _HERE.parent / "notebooks"
ENDINGS = (".ipynb", ".md")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    folder, where = "tinygrad-scalar-notebooks", "where to copy them (default %(default)s)"
    parser.add_argument("folder", nargs="?", default=folder, metavar="DIR", help=where)


def run(options: argparse.Namespace) -> int:
    """Copy and open the notebooks; returns JupyterLab's exit code (it has printed the reason itself)."""
    copied, kept = copy_notebooks(options.folder)
    already = f", {len(kept)} already there and kept" if kept else ""
    print(f"{printable(options.folder)}: {counted(len(copied), 'file')} copied{already}")
    if not has_jupyterlab():
        print('to open them: pip install "tinygrad_scalar[notebooks]", then run this command again')
        return 0
    sys.stdout.flush()
    return open_jupyterlab(options.folder, copied)


def copy_notebooks(folder: str | os.PathLike[str]) -> tuple[list[str], list[str]]:
    """Copy the notebooks into `folder`, creating it if needed; returns the names of those copied and of those kept.

    A file that is already there is kept, because it may hold someone's answers. OSError if `folder` is not writable.
    """
    folder = required_path(folder, "folder")
    folder.mkdir(parents=True, exist_ok=True)
    found = sorted(path for path in SOURCE.iterdir() if path.suffix in ENDINGS)
    kept = [path.name for path in found if (folder / path.name).exists()]
    for path in found:
        if path.name not in kept:
            write_atomically(folder / path.name, path.read_bytes())
    return [path.name for path in found if path.name not in kept], kept


def has_jupyterlab() -> bool:
    return importlib.util.find_spec("jupyterlab") is not None


def open_jupyterlab(folder: str | os.PathLike[str], ours: Iterable[str]) -> int:
    """Run JupyterLab on `folder` until it ends and return its exit code.

    Ctrl-C is left to JupyterLab, which asks for confirmation.
    The files named in `ours` are signed as trusted; otherwise JupyterLab would hide their pictures until they are run.
    """
    from nbformat import read, sign

    for name in ours:
        if name.endswith(".ipynb"):
            sign.NotebookNotary().sign(read(Path(folder) / name, as_version=4))
    with subprocess.Popen([sys.executable, "-m", "jupyterlab", os.fspath(folder)]) as server:
        while True:
            try:
                return server.wait()
            except KeyboardInterrupt:
                continue
            except SystemExit:  # a signal ends this program
                server.terminate()
                raise


COMMAND = Command("notebooks", "copy the tutorial notebooks to a folder and open them", run, add_arguments)
