"""Three build steps that setup.cfg cannot express: extensions compiled two at a time, notebooks without outputs, and
links that type checkers follow."""

import contextlib
import json
import os
import sys
from pathlib import Path
from threading import Lock

from Cython.Build import cythonize
from setuptools import setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel


class BuildExt(build_ext):
    """Two at a time: nearly all of an install is C compilers. Cython, which is one thread, runs beside the other's."""

    translating = Lock()

    def build_extensions(self):
        self.parallel = 2
        super().build_extensions()

    def build_extension(self, extension):
        with self.translating:
            (translated,) = cythonize([extension])
        extension.sources = translated.sources
        if sys.platform == "linux" and "-g0" in extension.extra_compile_args:  # then no tables for debuggers either
            extension.extra_compile_args.append("-fno-asynchronous-unwind-tables")
            extension.extra_link_args.append("-Wl,--strip-all")
        super().build_extension(extension)


class BuildPy(build_py):
    """A wheel gets the notebooks without outputs: they are most of its size, and running a notebook makes them anew."""

    def build_package_data(self):
        super().build_package_data()
        for path in Path(self.build_lib).rglob("*.ipynb"):
            notebook = json.loads(path.read_text("utf-8"))
            for cell in notebook["cells"]:
                if cell["cell_type"] == "code":
                    cell["outputs"], cell["execution_count"] = [], None
            path.write_text(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", "utf-8")


class EditableWheel(editable_wheel):
    """An editable install with links to viz/ and notebooks/ inside the package, where an ordinary install has them.

    setuptools then writes the path of the checkout into a .pth file, which mypy and pyright follow; otherwise it writes
    an import hook, which they cannot. Where links cannot be made (Windows without developer mode) the hook it is.
    """

    def finalize_options(self):
        places = self.distribution.package_dir
        with contextlib.suppress(OSError):
            for package, folder in places.items():
                link = Path(*package.split("."))
                if not link.is_dir():
                    link.symlink_to(os.path.relpath(folder, link.parent), target_is_directory=True)
            self.distribution.package_dir = {"": "."}
        super().finalize_options()


setup(cmdclass={"build_ext": BuildExt, "build_py": BuildPy, "editable_wheel": EditableWheel})
