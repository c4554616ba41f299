"""Running the command line in tests: in this process or in one of its own, and the files that it leaves."""

import csv
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from tinygrad_scalar.cli import main as cli

SVG = "{http://www.w3.org/2000/svg}"
MODULE = [sys.executable, "-m", "tinygrad_scalar"]
SCRIPT = [str(Path(sysconfig.get_path("scripts")) / "tinygrad-scalar")]
COST = ["z = w*a + b; C = (sigmoid(z) - y)**2", "w=0.6", "a=0.8", "b=0.1", "y=0"]
TRAIN = [
    "train",
    "flowers.csv",
    "--target",
    "species",
    "--epochs",
    "2",
    "--layers",
    "2",
]  # a table of `desk`


def main(*arguments):
    """The exit code of a command run here."""
    try:
        return cli.main([str(argument) for argument in arguments])
    except SystemExit as end:
        return end.code


# a terminal in UTF-8; output is buffered, as it is by default
ENVIRONMENT = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
ENVIRONMENT["PYTHONIOENCODING"] = "utf-8"


def process(command, *arguments, cwd, encoding="utf-8"):
    """A command run in a process of its own."""
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": encoding}
    command = [*command, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding=encoding, env=environment, check=False, cwd=cwd)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_csv(path, columns, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
