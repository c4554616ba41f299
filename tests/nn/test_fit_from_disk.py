"""Examples that stay on disk: memory maps and Dask arrays train with the bits of the same numbers in memory."""

import subprocess
import sys

import numpy as np
import pytest
from support.trainings import CLASSES, X, Y, data, fit, network, outcome

import tinygrad_scalar as ts
from tinygrad_scalar import MLP
from tinygrad_scalar.nn import DaskBatches


def on_disk(path, numbers):
    numbers = np.asarray(numbers)
    mapped = np.memmap(path, numbers.dtype, "w+", shape=numbers.shape)
    mapped[:] = numbers
    mapped.flush()
    return np.memmap(path, numbers.dtype, "r", shape=numbers.shape)


# --- memory maps -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f8", "f4", ">f8", "f2", "i2", "u1", "i8"])
@pytest.mark.parametrize("batch_size", [None, 3])
def test_a_memory_map_trains_as_the_array_in_memory(tmp_path, dtype, batch_size):
    numbers = (4 * np.array(X)).round(0 if dtype[-2] in "iu" else 9).astype(dtype)
    nets = [MLP(2, [3, 3], "tanh", "linear", seed=0) for _ in range(2)]
    options = {
        "epochs": 3, "batch_size": batch_size, "loss": "cross_entropy", "metrics": ["accuracy"], "seed": 3,
        "sample_weight": range(1, 8),
    }  # fmt: skip
    mapped, classes = on_disk(tmp_path / "x", numbers), on_disk(tmp_path / "y", np.array(CLASSES, "i1"))
    history = fit(nets[0], mapped, classes, validation=(mapped, classes), **options)
    expected = fit(nets[1], numbers, CLASSES, validation=(numbers, CLASSES), **options)
    assert outcome(nets[0], history) == outcome(nets[1], expected)
    np.testing.assert_array_equal(nets[0].predict(mapped), nets[1].predict(numbers))


def test_batches_in_random_order_of_a_file_larger_than_memory_are_warned_of(tmp_path, monkeypatch, recwarn):
    mapped = on_disk(tmp_path / "x", X)
    fit(network(), mapped, Y, epochs=1, batch_size=3)
    monkeypatch.setattr("tinygrad_scalar.nn.sources._bytes_of_memory", lambda: 8.0)
    fit(network(), mapped, Y, epochs=1)  # one batch, in the order of the file
    fit(network(), np.array(X), Y, epochs=1, batch_size=3)
    fit(network(), lambda: [(mapped, Y)], epochs=1)
    assert not recwarn.list
    with pytest.warns(UserWarning, match=r"X is a file of 0.0 GB, .*: .* read blocks in a random order") as warned:
        fit(network(), mapped, Y, epochs=1, batch_size=3)
    assert warned[0].filename.endswith("trainings.py")  # where fit was called


@pytest.mark.parametrize("row", [0, 1023, 1024, 5000])
def test_a_number_that_is_not_finite_is_found_wherever_it_stands_in_the_file(tmp_path, row):
    numbers = np.zeros((5001, 2))
    numbers[row, 1] = np.inf
    with pytest.raises(ValueError, match=rf"X must hold finite numbers, got inf at X\[{row}, 1\]"):
        fit(network(), on_disk(tmp_path / "x", numbers), np.zeros((5001, 2)))


def test_a_training_on_a_memory_map_goes_on_from_a_checkpoint_of_the_array(tmp_path):
    mapped = on_disk(tmp_path / "x", X)
    fit(network(), X, Y, epochs=2, batch_size=3, checkpoint=tmp_path / "run")
    net, other = network(), network()
    fit(net, mapped, Y, epochs=4, batch_size=3, checkpoint=tmp_path / "run", resume=True)
    fit(other, X, Y, epochs=4, batch_size=3)
    assert data(net) == data(other)


OWN_MEMORY = """
import sys
import threading
import numpy as np
import tinygrad_scalar as ts

X = np.memmap(sys.argv[1], np.float32, "r", shape=(200_000, 100))  # 80 MB
Y = np.zeros(len(X))

def own():  # bytes that are the process's own: pages of the file, which it can give back at any time, are none
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))

grown, done = [0], threading.Event()

def watch():
    while not done.wait(0.002):
        grown.append(own() - before)

net, coder = ts.MLP(100, [2, 1], "tanh", "linear", seed=0), ts.MLP(100, [1, 100], "tanh", "sigmoid", seed=0)
options = {"epochs": 1, "progress": False}
ts.fit(net, X[:100], Y[:100], batch_size=64, **options)
ts.fit(coder, X[:100], X[:100], loss="binary_cross_entropy", **options)
before = own()
watcher = threading.Thread(target=watch)
watcher.start()
for size in (None, 20_000):
    ts.fit(net, X, Y, batch_size=size, validation=(X, Y), metrics=["rmse"], **options)
net.predict(X)
ts.fit(coder, X, X, loss="binary_cross_entropy", **options)
done.set()
watcher.join()
print(max(grown))
"""


@pytest.mark.thorough
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_memory_map_is_never_copied_as_a_whole(tmp_path):
    with open(tmp_path / "x", "wb") as file:
        file.truncate(200_000 * 100 * 4)
    command = [sys.executable, "-W", "ignore", "-c", OWN_MEMORY, str(tmp_path / "x")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 50e6, done.stdout  # of 80 MB, or 160 MB as float64


# --- Dask arrays -----------------------------------------------------------------------------------------------------


def dask(numbers, chunks):
    return pytest.importorskip("dask.array").from_array(np.array(numbers), chunks=chunks)


@pytest.mark.parametrize("size", [None, 2, 3])
def test_batches_of_dask_arrays_are_the_rows_of_each_partition_in_order(size):
    batches = DaskBatches(dask(X, ((3, 0, 4), 1)), dask(Y, (2, 2)), batch_size=size)
    sizes = {None: [3, 4], 2: [2, 1, 2, 2], 3: [3, 3, 1]}[size]
    for _ in range(2):
        shapes = [(len(x), len(y)) for x, y in batches]
        assert shapes == [(n, n) for n in sizes]
        assert len(batches) == len(shapes)
        assert np.concatenate([x for x, _ in batches]).tolist() == X
        assert np.concatenate([y for _, y in batches]).tolist() == Y


def test_batches_of_dask_arrays_train_as_batches(tmp_path):
    def loop():
        for start in (0, 3, 6):
            yield X[start : start + 3], Y[start : start + 3]

    batches = DaskBatches(dask(X, (3, 2)), dask(Y, (3, 2)))
    nets = [network() for _ in range(3)]
    history = fit(nets[0], batches, epochs=3, validation=batches, metrics=["rmse"])
    expected = fit(nets[1], loop, epochs=3, validation=loop, metrics=["rmse"])
    assert outcome(nets[0], history) == outcome(nets[1], expected)
    fit(network(), batches, epochs=1, checkpoint=tmp_path / "run")
    fit(nets[2], batches, epochs=3, checkpoint=tmp_path / "run", resume=True)
    assert data(nets[2]) == data(nets[0])


def test_only_one_partition_is_computed_at_a_time():
    da = pytest.importorskip("dask.array")
    log = []

    def chunk(block_info):
        log.append("computed")
        return np.full(block_info[None]["chunk-shape"], 0.5)

    x = da.map_blocks(chunk, chunks=((4,) * 5, (2,)), dtype=float, meta=np.empty((0, 2)))

    class Watched(ts.GradientDescent):
        def stepped(self, theta, gradient):
            log.append("step")
            return super().stepped(theta, gradient)

    net = network()
    fit(net, DaskBatches(x, x), epochs=2, optimizer=Watched(net.parameters(), 0.1))
    assert log == ["computed", "step"] * 10 or log == ["computed", "computed", "step"] * 10  # for X and for Y


def test_predictions_for_a_dask_array_are_those_for_its_numbers():
    net = network()
    np.testing.assert_allclose(net.predict(dask(X, (3, 1))), net.predict(X), rtol=1e-14)


def test_predictions_for_a_filtered_dask_array_are_those_for_the_rows_that_are_left():
    net, rows = network(), dask(X, (2, 2))
    left = rows[rows[:, 0] > 1.75]  # the last but one, alone in its partition
    assert net.predict(left).tolist() == net.predict(X[5:6]).tolist()
    with pytest.raises(ValueError, match="gave no batches to predict"):
        net.predict(rows[rows[:, 0] > 9.0])


REFUSED = {
    "arrays": (lambda: (np.array(X), np.array(Y)), TypeError, "X must be a Dask array"),
    "lengths": (lambda: (dask(X, 3), dask(Y[1:], 3)), ValueError, "X has 7 examples but Y has 6"),
    "unknown lengths": (
        lambda: (lambda x: (x[x[:, 0] > 0], dask(Y, 3)))(dask(X, 3)),
        ValueError,
        r"the lengths of X's chunks are unknown: call X\.compute_chunk_sizes\(\)",
    ),
    "axes": (lambda: (dask([X], 3), dask(Y, 3)), ValueError, r"X must be an array of shape \(m, n\) or \(m,\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_dask_arrays_that_give_no_batches_are_refused(case):
    given, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        DaskBatches(*given())


def test_a_partition_with_a_number_that_is_not_finite_is_named():
    numbers = [*X[:5], [1.0, float("nan")], X[6]]
    with pytest.raises(ValueError, match="X of batch 1 in epoch 1 must hold finite numbers, got nan at X"):
        fit(network(), DaskBatches(dask(numbers, 3), dask(Y, 3)), epochs=2)
