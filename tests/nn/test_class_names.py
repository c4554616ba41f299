"""Text labels train as their numbers in sorted order, and the network keeps the names."""

import copy
import pickle

import numpy as np
import pytest
from support.labels import LABELS, NAMES, TWO, classifier, outcome_of, trained
from support.trainings import CLASSES, X, data, fit, network, outcome

import tinygrad_scalar as ts

LOSSES = {  # loss: activation of the output, and the targets of three classes by hand
    "cross_entropy": ("linear", np.arange(3)),
    "binary_cross_entropy": ("sigmoid", np.eye(3)),
    "binary_cross_entropy_with_logits": ("linear", np.eye(3)),
    "hinge": ("linear", 2 * np.eye(3) - 1),
    "kl_divergence": ("sigmoid", np.eye(3)),
}
ONE_OUTPUT = {  # loss: activation, the targets of two classes
    "binary_cross_entropy": ("sigmoid", [0.0, 1.0]),
    "binary_cross_entropy_with_logits": ("linear", [0.0, 1.0]),
    "hinge": ("tanh", [-1.0, 1.0]),
}


# --- the same bits as their numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("vectorized", [True, False])
@pytest.mark.parametrize("loss", LOSSES)
def test_labels_train_as_their_targets(loss, vectorized):
    activation, targets = LOSSES[loss]
    net, other = (classifier(3, activation) for _ in range(2))
    options = {"loss": loss, "epochs": 3, "batch_size": 3, "metrics": ["accuracy"], "vectorized": vectorized}
    history = fit(net, X, LABELS, validation=(X, LABELS), **options)
    assert net.class_names == NAMES
    numbers = targets[CLASSES]
    assert outcome(net, history) == outcome(other, fit(other, X, numbers, validation=(X, numbers), **options))


@pytest.mark.parametrize("loss", ONE_OUTPUT)
def test_two_classes_can_share_one_output(loss):
    activation, targets = ONE_OUTPUT[loss]
    net, other = (classifier(1, activation) for _ in range(2))
    options = {"loss": loss, "epochs": 200, "metrics": ["accuracy"]}
    history = fit(net, X, TWO, optimizer=ts.Adam(net.parameters(), 0.05), **options)
    numbers = [targets[label == "yes"] for label in TWO]
    expected = fit(other, X, numbers, optimizer=ts.Adam(other.parameters(), 0.05), **options)
    assert outcome(net, history) == outcome(other, expected)
    assert net.predict(X).tolist() == TWO  # 7 examples are learnt by heart
    assert history.metrics["accuracy"][-1] == 1.0


def test_predictions_are_the_names_of_the_largest_outputs():
    net = classifier()
    trained(LABELS, net=net, epochs=200, optimizer=ts.Adam(net.parameters(), 0.05))
    names = net.predict(X)
    assert names.tolist() == LABELS
    assert net.predict_proba(X).argmax(axis=1).tolist() == CLASSES
    net.class_names = None
    assert net.predict(X).argmax(axis=1).tolist() == CLASSES


FORMS = {
    "tuple": tuple,
    "array": np.array,
    "array of objects": lambda labels: np.array(labels, object),
    "column of an array": lambda labels: np.array(labels)[:, None],
    "list of rows": lambda labels: [[label] for label in labels],
    "NumPy's strings": lambda labels: list(np.array(labels)),
}
if hasattr(np.dtypes, "StringDType"):
    FORMS["variable width"] = lambda labels: np.array(labels, np.dtypes.StringDType())


@pytest.mark.parametrize("form", FORMS)
def test_labels_can_have_any_form(form):
    assert outcome_of(trained(FORMS[form](LABELS))) == outcome_of(trained(LABELS))


def columns():
    pd, pl, pa = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))
    yield from (pd.Series(LABELS, dtype=kind) for kind in (object, "string", "category"))
    yield pd.Series(
        pd.Categorical(LABELS, categories=["fly", "wasp", "bee", "ant"], ordered=True), index=range(7, 0, -1)
    )
    yield from (pd.DataFrame({"class": LABELS}), pd.Categorical(LABELS), pd.Index(LABELS))
    yield from (pl.Series(LABELS, dtype=kind) for kind in (pl.String, pl.Categorical, pl.Enum(["fly", "bee", "ant"])))
    yield pl.DataFrame({"class": LABELS})
    yield from (pa.chunked_array([LABELS[:3], LABELS[3:]]), pa.array(LABELS), pa.array(LABELS).dictionary_encode())
    yield pa.table({"class": LABELS})


def test_labels_can_be_columns_of_tables():
    pytest.importorskip("narwhals")
    expected = outcome_of(trained(LABELS))
    for column in columns():
        assert outcome_of(trained(column)) == expected, type(column)


def test_a_column_of_pandas_is_read_without_narwhals(monkeypatch):
    import sys

    pd = pytest.importorskip("pandas")
    monkeypatch.setitem(sys.modules, "narwhals", None)
    assert outcome_of(trained(pd.Series(LABELS))) == outcome_of(trained(LABELS))


def test_labels_can_lie_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("tinygrad_scalar.nn.class_names._PIECE", 2)
    labels = np.memmap(tmp_path / "labels", "U3", "w+", shape=len(LABELS))
    labels[:] = LABELS
    assert outcome_of(trained(labels)) == outcome_of(trained(LABELS))


def test_dask_arrays_can_hold_labels():
    da = pytest.importorskip("dask.array")
    net = trained(da.from_array(np.array(LABELS), 4), da.from_array(np.array(X), (4, 2)))
    other = trained(CLASSES, da.from_array(np.array(X), (4, 2)))
    assert (data(net), net.class_names) == (data(other), NAMES)
    validation = da.from_array(np.array(X), (4, 2)), da.from_array(np.array(LABELS), 4)
    assert data(trained(LABELS, validation=validation)) == data(trained(LABELS))
    net.class_names = None
    batches = ts.nn.DaskBatches(da.from_array(np.array(X), (4, 2)), da.from_array(np.array(LABELS), 4))
    with pytest.raises(ValueError, match="which classes there are is not known beforehand"):
        fit(net, batches, loss="cross_entropy", epochs=1)


def test_labels_can_be_in_any_object_that_numpy_reads():
    class Labels:  # as of xarray
        dtype = np.dtype("U3")

        def __array__(self, dtype=None, copy=None):
            return np.array(LABELS)

    assert outcome_of(trained(Labels())) == outcome_of(trained(LABELS))


def test_the_weights_of_classes_are_given_by_label():
    weights = {"ant": 2.0, "bee": 1.0, "fly": 0.5}
    for given, by_number in ((weights, dict(enumerate(weights.values()))), ("balanced", "balanced")):
        assert data(trained(LABELS, class_weight=given)) == data(trained(CLASSES, class_weight=by_number))
    one_hot = classifier(3, "sigmoid")
    trained(LABELS, net=one_hot, loss="binary_cross_entropy", class_weight=weights)
    other = classifier(3, "sigmoid")
    rows = [weights[label] for label in LABELS]
    trained(np.eye(3)[CLASSES], net=other, loss="binary_cross_entropy", sample_weight=rows)
    assert data(one_hot) == data(other)
    with pytest.raises(ValueError, match="no weight for the class 'fly'"):
        trained(LABELS, class_weight={"ant": 1.0, "bee": 1.0})


# --- the network keeps them ------------------------------------------------------------------------------------------


def test_a_second_fit_numbers_as_the_first():
    net, other = trained(LABELS), trained(CLASSES)
    subset = [i for i, label in enumerate(LABELS) if label != "ant"]
    rows = [X[i] for i in subset]
    programs = vars(net)["_programs"]
    trained([LABELS[i] for i in subset], rows, net)
    trained([CLASSES[i] for i in subset], rows, other)
    assert outcome_of(net) == (data(other), NAMES)
    assert vars(net)["_programs"] is programs  # names are no part of the program


def test_a_label_that_is_no_class_is_named_with_its_row():
    net = trained(LABELS)
    before = data(net)
    with pytest.raises(ValueError, match=r"Y has the label 'wasp' in row 1 .* none of the network's 3 classes \('ant'"):
        trained(["ant", "wasp"], X[:2], net)
    with pytest.raises(ValueError, match="validation Y has the label 'wasp' in row 0"):
        trained(LABELS, net=net, validation=(X[:1], ["wasp"]))
    assert outcome_of(net) == (before, NAMES)


def test_numbers_train_a_network_that_has_names():
    net, other = trained(LABELS), trained(CLASSES)
    assert data(trained(CLASSES, net=net)) == data(trained(CLASSES, net=other))
    assert net.class_names == NAMES


class Custom(ts.nn.Module):
    def __init__(self):
        self.body, self.output_activation = classifier(), "linear"

    def __call__(self, x):
        return self.body(x)

    def parameters(self):
        return self.body.parameters()


@pytest.mark.parametrize("make", [classifier, Custom, lambda: ts.nn.Layer(2, 3, "linear", seed=0)])
def test_files_and_copies_keep_the_names(make, tmp_path):
    net = trained(LABELS, net=make())
    ts.save(net, tmp_path / "net", {"unit": "mm"})
    loaded, metadata = ts.nn.load_with(tmp_path / "net")
    for other in (loaded, copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert other.class_names == NAMES
        assert other.predict(X).tolist() == net.predict(X).tolist()
    assert metadata == {"unit": "mm"}
    ts.save(make(), tmp_path / "net")
    assert ts.load(tmp_path / "net").class_names is None


@pytest.mark.parametrize("make", [classifier, Custom])
@pytest.mark.parametrize(
    "names", ['["ant", "ant"]', '["an"]', "[1, 2, 3]", '"ant, bee"', '{"ant": 1}', "null", "[[1]]"]
)
def test_names_in_a_file_that_no_network_can_have_are_refused(make, names, tmp_path):
    import json
    import struct

    net = make()
    net.class_names = NAMES
    ts.save(net, tmp_path / "net")
    content = (tmp_path / "net").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    (key,) = header["__metadata__"]
    text = header["__metadata__"][key]
    for written in ('{"tuple": ["ant", "bee", "fly"]}', '["ant", "bee", "fly"]'):
        text = text.replace(written, names)
    assert text != header["__metadata__"][key]
    header["__metadata__"][key] = text
    changed = json.dumps(header).encode()
    changed += b" " * (-len(changed) % 8)
    (tmp_path / "net").write_bytes(struct.pack("<Q", len(changed)) + changed + content[8 + length :])
    with pytest.raises(ValueError, match="is not a network that tinygrad_scalar saved"):
        ts.load(tmp_path / "net", classes=[Custom])


def test_a_training_that_goes_on_must_have_the_same_labels(tmp_path):
    file = tmp_path / "run"
    trained(LABELS, checkpoint=file)
    net = trained(LABELS, epochs=5, checkpoint=file, resume=True)
    assert outcome_of(net) == outcome_of(trained(LABELS, epochs=5))
    with pytest.raises(ValueError, match=r"it belongs to another training: Y: .*'wasp'"):
        trained([label.replace("fly", "wasp") for label in LABELS], epochs=6, checkpoint=file, resume=True)


@pytest.mark.parametrize(
    ("names", "error"),
    [
        ("ab", TypeError),
        ([1, 2], TypeError),
        ({"a", "b"}, TypeError),
        ([], TypeError),
        (["a"], ValueError),
        ("aa", TypeError),
    ],
)
def test_what_are_no_names_is_refused(names, error):
    net = classifier()
    with pytest.raises(error, match="class_names must be"):
        net.class_names = names
    with pytest.raises(ValueError, match="two or more different texts"):
        net.class_names = ["a", "a"]
    assert net.class_names is None


@pytest.mark.parametrize("names", [["a", "b"], ["ant", "bee", "fly", "wasp"]])
def test_names_for_another_number_of_outputs_neither_train_nor_predict(names):
    net = classifier()
    net.class_names = names
    before = outcome_of(net)
    for use in (net.predict, net.predict_proba, lambda X: trained(CLASSES, X, net), lambda X: trained(LABELS, X, net)):
        with pytest.raises(ValueError, match=r"the network has 3 outputs, but \d classes"):
            use(X)
        if len(names) == 2:  # which do not have all labels
            break
    with pytest.raises(ValueError, match=r"the network has 3 outputs, but \d classes"):
        trained(CLASSES, net=net, loss=lambda a, y: ts.cross_entropy(a, y))
    assert outcome_of(net) == before


def test_outputs_that_are_nan_are_of_no_class():
    net = classifier()
    net.class_names = NAMES
    net.parameters()[-1].data = float("nan")
    with pytest.raises(ValueError, match="outputs for row 0 are of no class"):
        net.predict(X)


# --- refusals --------------------------------------------------------------------------------------------------------

REFUSED = {
    "outputs": ({"net": (2, "linear")}, LABELS, ValueError, r"3 classes \('ant', .*\), but the network has 2"),
    "two outputs or one": ({"loss": "hinge"}, TWO, ValueError, "make its last layer with 2 neurons, or with one"),
    "one logit": ({"net": (1, "linear")}, TWO, ValueError, "make its last layer with 2 neurons$"),
    "activation": (
        {"net": (1, "sigmoid"), "loss": "binary_cross_entropy_with_logits"},
        TWO,
        ValueError,
        "must be linear, got sigmoid: make the last layer with output_activation='linear'",
    ),
    "unknown boundary": (
        {"net": (1, "softplus"), "loss": "hinge"},
        TWO,
        ValueError,
        "one output tells two classes apart if",
    ),
    "loss of numbers": (
        {"loss": "squared_error"},
        LABELS,
        TypeError,
        "squared_error has no classes; .*'cross_entropy'",
    ),
    "loss of one's own": (
        {"loss": lambda a, y: ts.cross_entropy(a, y)},
        LABELS,
        TypeError,
        r"the loss <lambda> has no classes; names, Y = np.unique",
    ),
    "one class": ({}, ["ant"] * 7, ValueError, "every label is 'ant': there is nothing to tell apart"),
    "missing": ({}, [*LABELS[:6], None], ValueError, "missing label in row 6"),
    "nan": ({}, [*LABELS[:6], float("nan")], ValueError, "missing label in row 6"),
    "mixed": ({}, [*LABELS[:6], 1], TypeError, r"text only, or numbers only, got 1 \(int\) in row 6"),
    "bytes": ({}, np.array(LABELS, "S"), TypeError, r"np.char.decode\(labels, 'utf-8'\)"),
    "bytes in a list": (
        {},
        [label.encode() for label in LABELS],
        TypeError,
        r"decode\(np.array\(labels, 'S'\), 'utf-8'\)",
    ),
    "ends in NUL": ({}, [*LABELS[:6], "fly\0"], ValueError, "the label 'fly.x00' ends in NUL"),
    "too long": ({}, [*LABELS[:6], "f" * 257], ValueError, "has 257 characters, .* at most 256"),
    "fewer classes than outputs": (
        {},
        TWO,
        ValueError,
        r"with 2 neurons; or, if Y lacks some classes, name all before fit, .* net.class_names = \['cat', 'dog'\]",
    ),
    "a class of the validation only": (
        {"net": (2, "linear"), "validation": (X, LABELS)},
        ["ant", "bee"] * 3 + ["ant"],
        ValueError,
        "validation Y has the label 'fly' .* none of the 2 classes .* name all before fit, .* an output for each$",
    ),
    "two labels": ({}, [["a", "b"]] * 7, (TypeError, ValueError), "Y must"),
    "two labels in an array": ({}, np.array([["a", "b"]] * 7), ValueError, r"the shape \(m,\), got \(7, 2\)"),
    "lengths": ({}, LABELS[:6], ValueError, "X has 7 examples but Y has 6"),
    "validation only": ({"validation": (X, LABELS)}, CLASSES, ValueError, "validation Y holds text, but which classes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_labels_that_cannot_be_learnt_change_nothing(case):
    options, labels, error, message = REFUSED[case]
    options = dict(options)
    net = classifier(*options.pop("net", ()))
    before = data(net)
    with pytest.raises(error, match=message):
        trained(labels, net=net, **options)
    assert outcome_of(net) == (before, None)


def test_columns_that_are_no_labels_are_refused():
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    pytest.importorskip("narwhals")
    for column, message in (
        (pl.Series([*LABELS[:6], None]), "a missing cell in row 6"),
        (pd.Series([*LABELS[:6], None], dtype="category"), "a missing cell in row 6"),
        (pd.Series(pd.Categorical(CLASSES)), "Y is Categorical: .*one column of text"),
        (pd.to_datetime(pd.Series(["2020-01-01"] * 7)), "Y is Datetime"),
        (pd.DataFrame({"one": LABELS, "two": LABELS}), "column 'one' of Y is text.*: .*one column of text"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            trained(column)


def test_a_function_with_parameters_has_no_place_for_names():
    class Wrapped:
        def __init__(self):
            self.net = classifier()

        def __call__(self, x):
            return self.net(x)

        def parameters(self):
            return self.net.parameters()

    with pytest.raises(TypeError, match=r"is no ts.nn.Module, which would keep the names"):
        trained(LABELS, net=Wrapped())


def test_booleans_are_the_numbers_zero_and_one():
    flags = [label == "yes" for label in TWO]
    net, other = classifier(2), classifier(2)
    assert data(trained(flags, net=net)) == data(trained([int(flag) for flag in flags], net=other))
    assert net.class_names is None


def test_networks_without_labels_have_no_names():
    net = network()
    fit(net, X, [[0.0, 1.0]] * 7, epochs=1)
    assert net.class_names is None
