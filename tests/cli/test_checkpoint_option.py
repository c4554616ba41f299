"""`train --checkpoint DIR --resume`: an interrupted training ends in the same model as one that was not."""

import pytest
from support.commands import TRAIN, contents, main

from tinygrad_scalar.cli.train import STATE
from tinygrad_scalar.nn.checkpoint import Checkpoint

pytestmark = pytest.mark.filterwarnings("default:fit was interrupted")  # train catches it
OPTIONS = [*TRAIN[:-4], "--epochs", 9, "--layers", 3, "--batch-size", 8]


@pytest.fixture
def interrupted(desk, monkeypatch, capsys):
    """The desk after a training with a checkpoint that Ctrl-C ended in its fourth epoch."""
    with monkeypatch.context() as patched:
        patched.setattr("tinygrad_scalar.nn.checkpoint.SHARE", float("inf"))
        write = Checkpoint.write

        def interrupt(self, trainer, stopped):
            if len(self._course.history.cost) == 4:
                raise KeyboardInterrupt
            write(self, trainer, stopped)

        patched.setattr(Checkpoint, "write", interrupt)
        assert main(*OPTIONS, "--checkpoint", "state") == 130
    assert "interrupted: --resume goes on from state" in capsys.readouterr().err
    assert not (desk / "model.safetensors").exists()
    return desk


def test_a_resumed_training_writes_the_model_of_an_uninterrupted_one(interrupted, capsys):
    assert main(*OPTIONS, "--checkpoint", "state", "--resume") == 0
    out = capsys.readouterr().out
    assert f"going on from state/{STATE}" in out.replace("\\", "/")
    assert "in 9 epochs" in out
    assert main(*OPTIONS, "-o", "other.safetensors") == 0
    for ending in ("", ".svg"):
        model, other = (interrupted / f"{name}.safetensors{ending}" for name in ("model", "other"))
        assert model.read_bytes() == other.read_bytes()


WRONG = {
    "a checkpoint that is there": (["--checkpoint", "state"], "--resume goes on from it; to begin anew, delete it"),
    "no folder": (["--resume"], "--checkpoint DIR --resume"),
    "a file": (["--checkpoint", "flowers.csv"], "flowers.csv is a file; --checkpoint takes a folder"),
    "an empty name": (["--checkpoint", ""], "the path is empty"),
    "other rows": (["--checkpoint", "state", "--resume", "--test-fraction", "0.5"], "belongs to another training: X: "),
    "another seed": (
        ["--checkpoint", "state", "--resume", "--seed", 1],
        "belongs to another training: seed: 1 here, 0",
    ),
    "another rate": (["--checkpoint", "state", "--resume", "--learning-rate", 1], "learning_rate: 1.0 here, 0.03 in"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_wrong_use_is_one_line_and_changes_nothing(options, message, interrupted, capsys):
    before = contents(interrupted)
    assert main(*OPTIONS, *options) != 0
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert contents(interrupted) == before


def test_resume_without_a_checkpoint_begins_and_makes_the_folder(desk):
    assert main(*OPTIONS, "--checkpoint", "new", "--resume") == 0
    assert (desk / "new" / STATE).exists()
