"""Running a function of a test file in a process of its own, and the memory that a process occupies."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

STATM = Path("/proc/self/statm")
resident_memory = pytest.mark.skipif(
    not STATM.exists() or "asan" in os.environ.get("LD_PRELOAD", ""),
    reason="reads Linux's account of a process, which a sanitizer distorts",
)


def alone(function, *arguments, **environment):
    """The result of a test file's function in a process of its own; `environment` is added to ours."""
    file = Path(inspect.getfile(function))
    script = f"""
import json, sys
sys.path += {[str(file.parent), str(Path(__file__).parents[1])]}
import {file.stem}
print(json.dumps({file.stem}.{function.__name__}(*json.loads(sys.argv[1]))))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(arguments)],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def resident():
    """Bytes of memory that this process occupies."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak():
    """The most bytes that this process ever occupied."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024
