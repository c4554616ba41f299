"""`tinygrad-scalar notebooks`: the tutorial notebooks, copied to where one works, and opened in JupyterLab."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tinygrad_scalar.atomic_write import write_atomically

_HERE = Path(__file__).parent.parent
# In a checkout notebooks/ stands beside this folder, installed it is inside it.
SOURCE = _HERE / "notebooks" if (_HERE / "notebooks").is_dir() else _HERE.parent / "notebooks"
ENDINGS = (".ipynb", ".md")


def copy_notebooks(folder: str | os.PathLike[str]) -> tuple[list[str], list[str]]:
    """Copy the notebooks into `folder`, which is made if need be; the names of those copied, and of those kept.

    A file that is there already is kept: it may hold someone's answers. OSError if nothing can be written there.
    """
    folder = Path(folder)
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
    """Run JupyterLab on `folder` until it ends; its exit code. Ctrl-C is JupyterLab's, which asks whether to stop.

    The files called `ours` are signed as trusted, or JupyterLab would not show their pictures before they are run.
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
