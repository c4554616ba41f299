"""`tinygrad-scalar train --scheduler`: Dask's workers train the model, and what is no scheduler is one line."""

import socket
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

from tinygrad_scalar.cli.main import main
from tinygrad_scalar.nn import cluster

pytestmark = pytest.mark.peers
distributed = pytest.importorskip("distributed")

X = np.random.default_rng(0).normal(size=(203, 2))


@pytest.fixture
def train(tmp_path):
    table, model = tmp_path / "table.csv", tmp_path / "model.safetensors"
    table.write_text("a,b,y\n" + "".join(f"{a},{b},{a * b}\n" for a, b in X))

    def run(*options):
        code = main(["train", str(table), "--target", "y", "--epochs", "3", "-o", str(model), *options])
        return code, load_file(model) if model.exists() else {}

    return run


def test_train_with_a_scheduler_gives_the_model_of_one_process_up_to_rounding(train):
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=60
    ) as workers:
        code, model = train("--scheduler", workers.scheduler_address)
    _, expected = train()
    assert code == 0 and expected
    for name, numbers in expected.items():
        np.testing.assert_allclose(model[name], numbers, rtol=1e-9)


def test_train_without_such_a_scheduler_is_one_line(train, monkeypatch, capsys):
    monkeypatch.setattr(cluster, "SECONDS", 0.3)
    assert train("--scheduler", "tcp://127.0.0.1:1") == (2, {})
    assert capsys.readouterr().err == ("tinygrad-scalar: no Dask scheduler answers at tcp://127.0.0.1:1 within 0.3 s\n")
    with socket.create_server(("127.0.0.1", 0)) as other:  # accepts, and says nothing
        assert train("--scheduler", address := "tcp://{}:{}".format(*other.getsockname())) == (2, {})
    assert f"no Dask scheduler answers at {address} within" in capsys.readouterr().err
    assert train("--scheduler", "ftp://127.0.0.1:1") == (2, {})
    assert (
        "'ftp://127.0.0.1:1' is no address of a Dask scheduler, such as tcp://10.0.0.1:8786" in capsys.readouterr().err
    )


def test_train_with_tls_but_without_certificates_says_where_they_are_read(train, capsys):
    assert train("--scheduler", "tls://127.0.0.1:1") == (2, {})
    assert "tls://127.0.0.1:1 needs certificates" in (err := capsys.readouterr().err)
    assert "DASK_DISTRIBUTED__COMM__TLS__CA_FILE" in err


def test_train_without_dask_names_the_extra(train, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert train("--scheduler", "tcp://127.0.0.1:1") == (2, {})
    assert "pip install 'tinygrad_scalar[distributed]'" in capsys.readouterr().err
