"""A network keeps the names of the columns it was trained on; tables of other columns are refused."""

import copy
import pickle

import numpy as np
import pytest
from support.trainings import X, Y, data, fit, network

import tinygrad_scalar as ts

NAMES = ("age", "income")


def table(names=NAMES):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    return pd.DataFrame(dict(zip(names, np.array(X).T)), columns=list(names))


def trained():
    net = network()
    fit(net, table(), Y, epochs=1)
    return net


def test_a_table_leaves_the_names_of_its_columns_and_arrays_leave_none():
    net = trained()
    assert net.input_names == NAMES
    fit(net, X, Y, epochs=1)
    assert net.input_names == NAMES
    other = network()
    fit(other, X, Y, epochs=1)
    assert other.input_names is None


def test_tables_of_other_columns_are_refused_and_nothing_changes():
    net = trained()
    before = data(net)
    message = "column 0 is 'income' in X and 'age' in the network's input_names: .* or set net.input_names = None"
    for use in (net.predict, net.predict_proba, lambda other: fit(net, other, Y, epochs=1)):
        with pytest.raises(ValueError, match=message):
            use(table(NAMES[::-1]))
    with pytest.raises(ValueError, match="X of batch 1 must have the columns of the network's input_names"):
        net.predict(lambda: iter([table(), table(NAMES[::-1])]))
    assert data(net) == before
    net.input_names = None
    assert net.predict(table(NAMES[::-1])).tolist() == net.predict(X).tolist()
    with pytest.raises(ValueError, match="X of batch 1 must have the columns of batch 0"):
        net.predict(lambda: iter([table(), table(NAMES[::-1])]))


def test_the_same_columns_and_arrays_are_taken():
    net = trained()
    assert net.predict(table()).tolist() == net.predict(X).tolist() == net.predict(table().to_numpy()).tolist()


class Custom(ts.nn.Module):
    def __init__(self):
        self.body = network()

    def __call__(self, x):
        return self.body(x)

    def parameters(self):
        return self.body.parameters()


@pytest.mark.parametrize("make", [network, Custom])
def test_copies_and_files_have_the_names(make, tmp_path):
    net = make()
    fit(net, table(), Y, epochs=1)
    ts.save(net, tmp_path / "net")
    for twin in (ts.load(tmp_path / "net"), copy.deepcopy(net)):
        assert twin.input_names == NAMES
    if make is network:
        assert pickle.loads(pickle.dumps(net)).input_names == NAMES
    net.input_names = None
    ts.save(net, tmp_path / "net")
    assert ts.load(tmp_path / "net").input_names is None


@pytest.mark.parametrize("names", ["null", '"ab"', "[1]", '["a", "a"]', "[]", "{}"])
@pytest.mark.parametrize("make", [network, Custom])
def test_a_file_with_names_that_no_network_has_is_refused(make, names, tmp_path):
    net = make()
    net.input_names = NAMES
    ts.save(net, tmp_path / "net")
    content = (tmp_path / "net").read_bytes()
    start = content.index(b"[", content.index(b"input_names"))
    end = content.index(b"]", start) + 1
    for given in (names.replace('"', '\\"'), names):  # as text in the header
        filled = given.encode().ljust(end - start)
        if len(filled) == end - start:
            (tmp_path / "net").write_bytes(content[:start] + filled + content[end:])
            with pytest.raises(ValueError, match="is not a network that tinygrad_scalar saved"):
                ts.load(tmp_path / "net")


@pytest.mark.parametrize(
    ("names", "error"), [("ab", TypeError), ([1, 2], TypeError), ({"a", "b"}, TypeError), (["a", "a"], ValueError)]
)
def test_names_must_be_different_texts(names, error):
    with pytest.raises(error, match=r"input_names must be"):
        network().input_names = names


def test_a_function_of_batches_that_takes_the_epoch_can_be_predicted():
    net = trained()

    def batches(epoch):
        assert epoch == 1
        yield X, Y

    assert net.predict(batches).tolist() == net.predict(X).tolist()


@pytest.mark.parametrize("batches", [lambda e: [(X, Y)], lambda epoch, /: [(X, Y)], lambda seed, epoch: [(X, Y)]])
def test_a_function_that_cannot_be_called_is_said_to_be_so(batches):
    net = network()
    for use in (net.predict, lambda given: fit(net, given, epochs=1)):
        with pytest.raises(TypeError, match="with the number of the epoch if it has a parameter `epoch`; got"):
            use(batches)
