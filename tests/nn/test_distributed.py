"""`fit(client=)`: Dask's workers give the bits of one process, whoever of them is lost."""

import importlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar.nn import cluster, partitions

pytestmark = pytest.mark.peers
dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(203, 3)), rng.normal(size=(203, 2))
CHUNKS = (50, 1, 100, 52)


@pytest.fixture(scope="module")
def client():
    with local_cluster(2) as client:
        yield client


@contextmanager
def local_cluster(n):
    with (
        distributed.LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=":0", silence_logs=60) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


def dask_arrays(chunks=CHUNKS):
    return da.from_array(X, chunks=(chunks, -1)), da.from_array(Y, chunks=(chunks, -1))


def training(arrays=(X, Y), client=None, net=None, **options):
    net = net or ts.MLP(3, [4, 2], "tanh", "linear", seed=0)
    options = {"epochs": 2, "progress": False, **options}
    history = ts.fit(net, *arrays, client=client, **options)
    return [p.data.hex() for p in net.parameters()], history.cost, history.validation_cost, history.metrics


OPTIONS = {
    "all examples": {},
    "batches": {"batch_size": 64},
    "weights and metrics": {"sample_weight": np.arange(1.0, 204.0), "metrics": ["rmse"], "clip_norm": 0.1, "l2": 0.01},
    "validation": {"validation": (X[:9], Y[:9]), "metrics": ["mae"], "early_stopping": 1, "schedule": "cosine"},
    "a custom loss": {"loss": lambda a, y: (a[0] - y[0]) ** 2 + abs(a[1] - y[1])},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_two_workers_give_the_bits_of_one_process_over_the_same_partitions(client, options):
    assert training(dask_arrays(), client, **options) == training(dask_arrays(), **options)


def test_arrays_are_cut_into_sixteen_blocks(client):
    sixteenths = dask_arrays((13,) * 15 + (8,))
    assert training(client=client, batch_size=64) == training(sixteenths, batch_size=64)


def test_one_partition_gives_the_bits_of_arrays():
    assert training(dask_arrays((203,)), batch_size=64) == training(batch_size=64)


def test_partitions_change_nothing_but_the_rounding():
    parameters, *_ = training(dask_arrays(), batch_size=64)
    expected, *_ = training(batch_size=64)
    ours, theirs = ([float.fromhex(number) for number in numbers] for numbers in (parameters, expected))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    assert ours != theirs  # or this would hold without partitions


def test_columns_in_chunks_and_empty_chunks_are_none_of_the_partitions():
    chunked = da.from_array(X, chunks=((50, 0, 1, 100, 52), 2)), da.from_array(Y, chunks=((50, 0, 1, 100, 52), -1))
    assert training(chunked) == training(dask_arrays())


def test_labels_in_partitions_train_as_their_numbers(client):
    numbers = (X[:, 0] > 0.0).astype(int)
    labels = np.array(["cold", "warm"])[numbers]
    options = {"loss": "cross_entropy", "batch_size": 64, "metrics": ["accuracy"], "validation": (X[:9], numbers[:9])}
    expected = training((dask_arrays()[0], numbers), **options)
    options.update(validation=(X[:9], labels[:9]), client=client)
    for given in (labels, da.from_array(labels, chunks=CHUNKS)):
        net = ts.MLP(3, [4, 2], "tanh", "linear", seed=0)
        assert training((dask_arrays()[0], given), net=net, **options) == expected
        assert net.class_names == ("cold", "warm")
    unknown = da.from_array(np.where(labels == "warm", "hot", labels), chunks=CHUNKS)
    with pytest.raises(ValueError, match="Y has the label 'hot' in row"):
        training((dask_arrays()[0], unknown), net=net, **options)


def test_a_block_of_integers_among_floats_holds_floats():
    mixed = A.map_blocks(lambda block: block.astype(int) if len(block) == 52 else block, dtype=float)
    assert training((mixed, Y), batch_size=64) == training((da.from_array(mixed.compute(), A.chunks), Y), batch_size=64)


def test_the_sum_is_a_tree_of_neighbours():
    text = partitions.sum_of(list("abcde"), Pairs())
    assert text == "(((a+b)+(c+d))+e)"


class Pairs:
    def call(self, function, one, other):
        return f"({one}+{other})"


def test_a_worker_killed_in_mid_epoch_changes_no_bit():
    with local_cluster(2) as client:
        killed = min(client.run(os.getpid).values())

        def kill(epoch):
            if epoch.number == 1:
                threading.Timer(0.05, os.kill, (killed, signal.SIGKILL)).start()

        options = {"batch_size": 20, "epochs": 3}
        assert training(dask_arrays(), client, callbacks=kill, **options) == training(dask_arrays(), **options)
        with pytest.raises(ProcessLookupError):
            os.kill(killed, 0)


@pytest.mark.parametrize("kind", [np.asarray, da.asarray])
def test_the_workers_hold_each_partition_once(client, kind):
    def held(dask_worker):
        kept = {key: arrays if isinstance(arrays, tuple) else (arrays,) for key, arrays in dask_worker.data.items()}
        return {key: sum(array.nbytes for array in arrays if np.ndim(array) == 2) for key, arrays in kept.items()}

    def look(epoch):
        of_both = {key: size for worker in client.run(held).values() for key, size in worker.items()}
        seen.append(sum(of_both.values()))

    seen, wide = [], np.ones((200, 50))
    training((kind(wide), np.zeros(200)), client, ts.MLP(50, [1], seed=0), callbacks=look)
    assert seen == [wide.nbytes] * 2


@contextmanager
def processes(*arguments):
    """A scheduler and two workers, each a process; the file with the address, and the scheduler."""
    started = []

    def start(program, *more):
        command = [sys.executable, "-m", f"distributed.cli.dask_{program}", "--no-dashboard", *more]
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return started[-1]

    file = os.fspath(arguments[0] / "scheduler.json")
    try:
        scheduler = start("scheduler", "--port", "0", "--scheduler-file", file)
        for _ in range(2):
            start("worker", "--scheduler-file", file, "--no-nanny", "--nthreads", "1", "--death-timeout", "9")
        yield file, scheduler
    finally:
        for process in started:
            process.kill()
            process.wait()


def connected(file):
    end = time.monotonic() + 20
    while not os.path.exists(file) and time.monotonic() < end:
        time.sleep(0.02)
    return distributed.Client(scheduler_file=file, set_as_default=False)


def test_a_training_whose_scheduler_is_gone_goes_on_from_its_checkpoint_to_the_same_bits(tmp_path):
    options = {"batch_size": 64, "epochs": 4}
    with processes(tmp_path) as (file, scheduler), connected(file) as client:
        client.wait_for_workers(2, timeout=20)

        def kill(epoch):
            if epoch.number == 3:
                scheduler.kill()

        with pytest.raises(ConnectionError, match=r"^the Dask scheduler tcp://\S+ is gone.*resume=True$"):
            training(dask_arrays(), client, checkpoint=tmp_path / "run", callbacks=kill, **options)
    resumed = training(dask_arrays(), checkpoint=tmp_path / "run", resume=True, **options)
    assert resumed == training(dask_arrays(), **options)


def test_a_checkpoint_of_other_partitions_is_refused(tmp_path):
    training(dask_arrays(), checkpoint=tmp_path / "run")
    with pytest.raises(ValueError, match=r"rows of the partitions: \[203\] here, \[50, 1, 100, 52\] in the file"):
        training(dask_arrays((203,)), checkpoint=tmp_path / "run", resume=True)


# --- wrong uses, before anything has changed -------------------------------------------------------------------------


class OwnStep(ts.GradientDescent):
    def step(self):
        super().step()


def draws(x):
    return NET([x[0] * np.random.default_rng().random(), *x[1:]])


NET = ts.MLP(3, [4, 2], "tanh", "linear", seed=0)
draws.parameters = NET.parameters
A, B = dask_arrays()
LABELS = np.where(Y[:, 0] > 0, "yes", "no")
WITH_NAN = X.copy()
WITH_NAN[160, 2] = np.nan
WRONG = {
    "other partitions": (
        (A, B.rechunk((100, -1))),
        {},
        ValueError,
        r"X and Y must have the same partitions, got chunks of \(50, 1, 100, 52\) and \(100, 100, 3\) rows: Y\.rech",
    ),
    "other lengths": ((A, Y[:9]), {}, ValueError, "X has 203 examples but Y has 9"),
    "fewer rows than chunks say": (
        (A.map_blocks(lambda block: block[1:] if len(block) == 52 else block, meta=X[:0]), Y),
        {},
        ValueError,
        r"X.blocks\[3\] must have the shape \(52, 3\) as its chunks say, got \(51, 3\)",
    ),
    "fewer columns than chunks say": (
        (A.map_blocks(lambda block: block[:, 1:] if len(block) == 52 else block, meta=X[:0]), Y),
        {},
        ValueError,
        r"X.blocks\[3\] must have the shape \(52, 3\) as its chunks say, got \(52, 2\)",
    ),
    "floats among integers": (
        (A.map_blocks(lambda block: block if len(block) == 52 else block.astype(int), dtype=int), Y),
        {},
        ValueError,
        r"X.blocks\[3\] must hold integers as its array's dtype, int64, says, got float64",
    ),
    "unknown lengths": ((A[A[:, 0] > 0], Y), {}, ValueError, r"lengths of X's chunks are unknown: call X.compute_ch"),
    "unknown lengths of Y": ((A, B[B[:, 0] > 0]), {}, ValueError, "lengths of Y's chunks are unknown: call Y.compute"),
    "three axes": ((A[:, :, None], Y), {}, ValueError, r"X must be an array of shape \(m, n\) or \(m,\)"),
    "nan": (
        (da.from_array(WITH_NAN, chunks=((50, 1, 100, 0, 52), -1)), Y),  # an empty block counts
        {},
        ValueError,
        r"X.blocks\[4\] must hold finite numbers, got nan at X.blocks\[4\]\[9, 2\]",
    ),
    "text": ((A.astype(str), Y), {}, TypeError, r"X.blocks\[\d\] must hold numbers"),
    "a class beyond the outputs": (
        (A, np.where(np.arange(203) == 160, 7, 1)),
        {"loss": "cross_entropy"},
        ValueError,
        r"^the class must be from 0 to 1 for 2 logits, got 7 \(row 160 of X and Y, counted from 0\)$",
    ),
    "scalar by scalar": ((A, B), {"vectorized": False}, ValueError, "vectorized=False trains scalar by scalar in this"),
    "own step": (
        (A, B),
        {"optimizer": OwnStep(NET.parameters(), 0.1)},
        ValueError,
        r"OwnStep has a step\(\) of its own",
    ),
    "draws": ((A, B), {"net": draws, "optimizer": "adam"}, TypeError, "cannot be vectorized, which training over part"),
    "no client": ((A, B), {"client": "tcp://127.0.0.1:1"}, TypeError, r"client must be a dask.distributed.Client, got"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("on_cluster", [False, True])
def test_wrong_uses_are_one_clear_error_before_anything_has_changed(client, wrong, on_cluster):
    arrays, options, error, message = wrong
    before = [p.data for p in NET.parameters()]
    with pytest.raises(error, match=message) as raised:
        training(arrays, **{"client": client if on_cluster else None, "net": NET, **options})
    assert "\n" not in str(raised.value)
    assert [p.data for p in NET.parameters()] == before


def test_a_primitive_that_cannot_travel_is_an_error_that_says_so(client):
    erf = ts.primitive(
        lambda x: math.erf(x),
        derivative=lambda x: 2.0 / math.sqrt(math.pi) * math.exp(-x * x),
        name="unknown_to_workers",
    )
    with pytest.raises(ValueError, match="in it, such as primitives, must be defined in a module that"):
        training(client=client, loss=lambda a, y: erf((a[0] - y[0]) ** 2))


def test_a_partition_that_no_worker_survives_is_an_error_with_the_likely_cause():
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}), local_cluster(1) as client:
        larger_than_memory = A.map_blocks(lambda block: os._exit(1), meta=X[:0])
        with pytest.raises(RuntimeError, match=r"^1 worker died.*same partition.*If it is larger than.*X\.rechunk"):
            training((larger_than_memory, Y), client)


def test_a_client_closed_in_mid_training_is_a_connection_error():
    with local_cluster(1) as client, pytest.raises(ConnectionError, match="connect a new Client"):
        training(client=client, callbacks=lambda epoch: client.close())


def test_a_training_whose_workers_do_not_come_back_ends_where_dask_is_told_how_long_to_wait():
    with (
        dask.config.set({"distributed.scheduler.no-workers-timeout": "0.5s"}),
        local_cluster(1) as client,
        pytest.raises(ConnectionError, match=r"has had no workers for 0\.5 s: connect a new Client"),
    ):
        training(client=client, epochs=9, callbacks=lambda epoch: client.cluster.scale(0))


def test_a_worker_without_the_package_is_named(client, monkeypatch):
    monkeypatch.setattr(cluster, "versions", lambda: importlib.import_module("no_such_package"))
    with pytest.raises(RuntimeError, match=r"the worker tcp://\S+ cannot run tinygrad_scalar: .*no_such_package"):
        training(client=client)


@pytest.mark.parametrize("on_cluster", [False, True])
def test_tables_of_dask_are_refused_with_what_to_write_instead(client, on_cluster):
    pytest.importorskip("pandas")
    frames = pytest.importorskip("dask.dataframe")
    table = frames.from_dask_array(A, columns=list("abc"))
    client = client if on_cluster else None
    for arrays in (table, Y), (X, table["a"]), (A, table["a"]):
        with pytest.raises(TypeError, match=r"is a Dask \w+: [XY]\.to_dask_array\(lengths=True\) has its partitions"):
            training(arrays, client)
    assert training((table.to_dask_array(lengths=True), Y), client) == training((A, Y), client)


def test_a_table_of_one_column_of_classes_goes_with_dask_arrays_as_with_others():
    pytest.importorskip("narwhals")
    classes = (Y[:, 0] > 0).astype(int)
    table = pytest.importorskip("pandas").DataFrame({"y": classes})
    assert training((A, table), loss="cross_entropy") == training((A, classes), loss="cross_entropy")


@pytest.mark.parametrize("arrays", [(X, LABELS), (A, LABELS), (A, da.from_array(LABELS, chunks=A.chunks[:1]))])
def test_names_of_classes_can_be_weighted_as_their_numbers_can(client, arrays):
    options = {"loss": "cross_entropy", "client": client}
    by_number = training((arrays[0], (LABELS == "yes").astype(int)), class_weight={0: 1, 1: 3}, **options)
    assert training(arrays, class_weight={"no": 1, "yes": 3}, **options) == by_number


def test_a_validation_table_must_have_the_columns_of_the_partitioned_table(client):
    pytest.importorskip("narwhals")
    table = pytest.importorskip("pandas").DataFrame(X, columns=list("abc"))
    assert training((table, Y), client, validation=(table, Y)) == training((X, Y), client, validation=(X, Y))
    with pytest.raises(ValueError, match="validation X must have the columns of X in the same order"):
        training((table, Y), client, validation=(table[list("acb")], Y))


def test_what_is_no_client_or_a_closed_one_is_refused():
    with local_cluster(0) as client:
        with pytest.raises(TypeError, match=r"client must be .* got LocalCluster.*: cluster\.get_client\(\)$"):
            training(client=client.cluster)
        with pytest.raises(ValueError, match="has no workers yet"):
            training(client=client)
        client.close()
        with pytest.raises(ValueError, match="client must be connected to a scheduler, but it is closed"):
            training(client=client)


def test_a_worker_with_another_version_is_named(client, monkeypatch):
    monkeypatch.setattr(ts, "__version__", "0.0.9")
    with pytest.raises(RuntimeError, match=r"the worker tcp://\S+ has tinygrad_scalar 0.1.0, but the client 0.0.9"):
        training(client=client)


def test_a_loss_that_is_not_finite_ends_the_training(client):
    with pytest.raises(ts.AnomalyError, match="epoch"):
        training(client=client, optimizer=ts.GradientDescent(NET.parameters(), 1e200), net=NET, epochs=9)


def test_without_dask_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'tinygrad_scalar\[distributed\]'"):
        training(client=object())
