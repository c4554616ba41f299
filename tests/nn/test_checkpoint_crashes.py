"""Checkpoints when the process is killed, the disk full or the folder read-only: the file stays whole."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.trainings import X, Y, data, fit, network

from tinygrad_scalar.nn import checkpoint_file

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills, limits and mounts as Linux does")

EPOCHS = 1000
OPTIONS = {"epochs": EPOCHS, "batch_size": 3, "optimizer": "adam", "early_stopping": EPOCHS, "metrics": ["rmse"]}
TRAIN = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import math
from support.trainings import X, Y, fit, network
from tinygrad_scalar.nn import checkpoint
checkpoint.SHARE = math.inf  # every epoch
OPTIONS = {OPTIONS}
"""
GO_ON = """
def say(epoch):
    sys.stdout.write("epoch\\n")
    sys.stdout.flush()
fit(network(), X, Y, **OPTIONS, callbacks=say, checkpoint=sys.argv[1], resume=True)
"""


def outcome(**options):
    net = network()
    history = fit(net, X, Y, **OPTIONS, **options)
    return [number.hex() for number in data(net)], repr(vars(history))


def run_alone(script, *arguments, before=()):
    return subprocess.run(
        [*before, sys.executable, "-c", TRAIN + script, *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def killed(file, seconds):
    """Train on in a process that is killed so long after its first epoch."""
    with subprocess.Popen([sys.executable, "-c", TRAIN + GO_ON, str(file)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"epoch\n"
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)


def test_what_a_killed_write_of_the_checkpoint_left_is_gone_once_the_training_goes_on(tmp_path):
    file = tmp_path / "run.safetensors"
    script = "import os; os.replace = lambda *paths: os.kill(os.getpid(), 9)\n" + GO_ON
    fit(network(), X, Y, **{**OPTIONS, "epochs": 1}, checkpoint=file)
    assert run_alone(script, file).returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    fit(network(), X, Y, **{**OPTIONS, "epochs": 1}, checkpoint=file, resume=True)  # which has no epoch left to write
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.thorough
def test_a_training_killed_at_any_moment_goes_on_from_a_whole_file(tmp_path, thorough):
    expected, chance, file = outcome(), random.Random(0), tmp_path / "run.safetensors"
    costs = eval(expected[1])["cost"]
    for _ in range(30 if thorough else 5):
        killed(file, chance.uniform(0.0, 0.4))
        if not file.exists():
            continue  # before its first
        with file.open("rb") as opened:
            description, header = checkpoint_file.read_description(opened)
            arrays = checkpoint_file.read_arrays(opened, description, header)
        assert arrays["cost"].tolist() == costs[: description.state["epoch"]]
        shutil.copy(file, twin := tmp_path / "twin.safetensors")
        assert outcome(checkpoint=twin, resume=True) == expected
        if description.state["epoch"] == EPOCHS:  # before it was killed
            file.unlink()


# --- no room ---------------------------------------------------------------------------------------------------------

FULL = """
import os, resource
from pathlib import Path
file = Path(sys.argv[1])
def fill(epoch):
    if epoch.number == 5:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
net = network()
try:
    fit(net, X, Y, **OPTIONS, checkpoint=file, callbacks=fill)
except OSError as error:
    print(type(error).__name__, error)
print(len(os.listdir(file.parent)), [p.data for p in net.parameters()] != [p.data for p in network().parameters()])
"""


def test_a_file_that_may_not_grow_is_an_error_that_names_it_and_the_last_one_stays(tmp_path):
    expected, file = outcome(), tmp_path / "run.safetensors"
    done = run_alone(FULL, file)
    assert done.stdout.splitlines() == [f"OSError [Errno 27] File too large: '{file}'", "1 True"], done.stderr
    assert outcome(checkpoint=file, resume=True) == expected


IN_A_FOLDER_OF_ITS_OWN = """
import os, subprocess
from pathlib import Path
folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True)
file = folder / "run.safetensors"
def spoil(epoch):
    if epoch.number == 5 and sys.argv[2] == "full":
        try:
            with open(folder / "filler", "wb", buffering=0) as filler:
                while True:
                    filler.write(bytes(1024))
        except OSError:
            pass
    if epoch.number == 5 and sys.argv[2] == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
try:
    fit(network(), X, Y, **OPTIONS, checkpoint=file, callbacks=spoil)
except OSError as error:
    print(type(error).__name__, error)
try:
    fit(network(), X, Y, **OPTIONS, checkpoint=folder / "other.safetensors")
except OSError as error:
    print(type(error).__name__, error)
print(sorted(set(os.listdir(folder)) - {"filler"}))
Path(sys.argv[3]).write_bytes(file.read_bytes())
"""


@pytest.mark.parametrize("spoiled", ["full", "read-only"])
@pytest.mark.thorough
def test_a_full_disk_and_a_read_only_folder_are_errors_and_the_last_checkpoint_stays(spoiled, tmp_path):
    alone = ["unshare", "--user", "--map-root-user", "--mount"]  # what is mounted there ends with the process
    if (
        not shutil.which("unshare")
        or subprocess.run([*alone, "mount", "-t", "tmpfs", "tmpfs", tmp_path], check=False).returncode
    ):
        pytest.skip("nothing can be mounted here")
    expected, kept, folder = outcome(), tmp_path / "kept.safetensors", tmp_path / "disk"
    folder.mkdir()
    done = run_alone(IN_A_FOLDER_OF_ITS_OWN, folder, spoiled, kept, before=alone)
    file, other = folder / "run.safetensors", folder / "other.safetensors"
    full = (
        f"OSError [Errno 28] No space left on device: '{file}'",
        f"OSError [Errno 28] No space left on device: '{other}'",
    )
    read_only = (
        f"PermissionError cannot write {file}: permission denied for {folder}",
        f"PermissionError cannot write {other}: permission denied for {folder}",
    )
    assert done.stdout.splitlines() == [*(full if spoiled == "full" else read_only), "['run.safetensors']"], done.stderr
    assert outcome(checkpoint=kept, resume=True) == expected


def test_a_folder_without_permission_is_an_error_before_training(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    net = network()
    before = data(net)
    with pytest.raises(PermissionError, match="cannot write"):
        fit(net, X, Y, checkpoint=tmp_path / "run.safetensors")
    assert data(net) == before
