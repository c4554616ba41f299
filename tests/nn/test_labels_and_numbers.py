"""What names, numbers, masks and other texts than plain ones mean to `fit` and to a network with `class_names`."""

import datetime
import enum
import warnings

import numpy as np
import pytest
from support.labels import LABELS, NAMES, TWO, batches, classifier, outcome_of, trained
from support.trainings import CLASSES, X, data, fit

import tinygrad_scalar as ts

# --- outputs, whatever their names -----------------------------------------------------------------------------------


def test_outputs_are_the_same_with_and_without_names():
    net = classifier()
    outputs = net.predict(X)
    net.class_names = NAMES
    assert net.predict_outputs(X).tolist() == outputs.tolist()


# --- what a mask hides is no label -----------------------------------------------------------------------------------

MASKED = {
    "text": np.ma.array(LABELS, mask=[0] * 6 + [1]),
    "objects": np.ma.array(LABELS, mask=[0] * 6 + [1], dtype=object),
    "column": np.ma.array(LABELS, mask=[0] * 6 + [1])[:, None],
    "in a list": [*LABELS[:6], np.ma.masked],
    "numbers": np.ma.array(CLASSES, mask=[0] * 6 + [1]),
}


@pytest.mark.parametrize("form", MASKED)
def test_masked_labels_are_refused(form):
    masked = MASKED[form]
    for Y, options in ((masked, {}), (LABELS, {"validation": (X, masked)}), (None, {})):
        with pytest.raises(TypeError, match="masked elements, which are no"):
            trained(Y, [(X, LABELS if form != "numbers" else CLASSES), (X, masked)] if Y is None else X, **options)


@pytest.mark.parametrize("form", ["text", "numbers"])
def test_masked_partitions_of_dask_are_refused(form):
    da = pytest.importorskip("dask.array")
    masked, rows = da.from_array(MASKED[form], 4), da.from_array(np.array(X), (4, 2))
    for inputs, targets, options in (
        (rows, masked, {}),
        (X, masked, {}),
        (X, LABELS, {"validation": (X, masked)}),
        (X, LABELS, {"sample_weight": masked}),
        (ts.nn.DaskBatches(rows, masked), None, {}),
    ):
        net = classifier()
        net.class_names = NAMES
        with pytest.raises(TypeError, match="masked elements, which are no"):
            trained(targets, inputs, net, **options)


def test_nothing_masked_is_no_mask():
    assert outcome_of(trained(np.ma.array(LABELS, mask=False))) == outcome_of(trained(LABELS))


# --- names and what numbers mean -------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ts.nn.LOSSES)
@pytest.mark.parametrize("activation", ["sigmoid", "linear", "tanh"])
def test_the_name_of_one_output_is_the_class_that_accuracy_counts(loss, activation):
    net = classifier(1, activation)
    net.class_names = ["no", "yes"]
    off, on = ts.nn.LOSSES[loss].off_and_on or (0.0, 1.0)
    numbers = [on if label == "yes" else off for label in TWO]
    try:
        history = fit(net, X, numbers, loss=loss, epochs=2, metrics=["accuracy"])
    except ValueError:
        return
    names = net.predict(X)
    history = fit(
        net,
        X,
        numbers,
        optimizer=ts.GradientDescent(net.parameters(), 1e-30),
        loss=loss,
        epochs=1,
        metrics=["accuracy"],
    )
    assert np.mean(names == np.array(TWO)) == history.metrics["accuracy"][0]


def test_a_loss_that_draws_the_line_elsewhere_than_the_names_is_refused():
    net = classifier(1)
    net.class_names = ["no", "yes"]
    before = outcome_of(net)
    with pytest.raises(ValueError, match=r"by squared_error must be sigmoid, got linear: .*net.class_names = None"):
        fit(net, X, [0, 1, 0, 1, 1, 0, 1])
    assert outcome_of(net) == before


@pytest.mark.parametrize("form", [lambda X, Y: (X, Y), lambda X, Y: (lambda: [(X, Y)], None)])
def test_a_regression_lets_the_names_go(form):
    net, other = trained(LABELS), trained(CLASSES)
    targets = 3 * np.array(X)[:, :1] + [50, 60, 70]
    with pytest.warns(UserWarning, match="no classes: the network's 3 classes .* are let go"):
        fit(net, *form(X, targets), epochs=2)
    fit(other, *form(X, targets), epochs=2)
    assert net.class_names is None
    assert net.predict(X).tolist() == other.predict(X).tolist()


def test_class_numbers_of_a_loss_for_numbers_keep_the_names():
    net = classifier(3, "sigmoid")
    net.class_names = NAMES
    fit(net, X, np.eye(3)[CLASSES], epochs=2)
    assert net.class_names == NAMES
    with warnings.catch_warnings():  # an error of the loss comes first: no warning, and the names stay
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="finite"):
            fit(net, X, np.full((7, 3), np.nan))
    assert net.class_names == NAMES


def test_naming_all_beforehand_trains_without_an_example_of_each():
    net, other = classifier(), classifier()
    net.class_names = NAMES
    few = [i for i, label in enumerate(LABELS) if label != "fly"]
    fit(net, [X[i] for i in few], [LABELS[i] for i in few], loss="cross_entropy", epochs=2, validation=(X, LABELS))
    fit(other, [X[i] for i in few], [CLASSES[i] for i in few], loss="cross_entropy", epochs=2, validation=(X, CLASSES))
    assert outcome_of(net) == (data(other), NAMES)


# --- texts of other types --------------------------------------------------------------------------------------------


class Insect(str, enum.Enum):
    ANT, BEE, FLY = NAMES


class Loud(str):
    def __str__(self):
        return self.upper() + "!"

    __repr__ = __str__


@pytest.mark.parametrize("kind", [Insect, Loud, np.str_])
def test_labels_of_a_subclass_of_str_are_their_text(kind):
    labels, expected = [kind(label) for label in LABELS], outcome_of(trained(LABELS))
    for given in (labels, tuple(labels), np.array(labels, object), [[label] for label in labels]):
        assert outcome_of(trained(given)) == expected
    net = classifier()
    net.class_names = [kind(name) for name in NAMES]
    assert net.class_names == NAMES
    assert {type(name) for name in net.class_names} == {str}
    assert outcome_of(trained(labels, net=net)) == expected
    weights = {"ant": 2.0, "bee": 1.0, "fly": 0.5}
    by_member = trained(labels, class_weight={kind(label): weight for label, weight in weights.items()})
    assert data(by_member) == data(trained(LABELS, class_weight=weights))


def test_class_names_can_be_a_column_of_a_table():
    pd, pl, pa = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))
    pytest.importorskip("narwhals")
    for names in (pd.Series(NAMES), pl.Series(NAMES), pa.array(NAMES), pl.DataFrame({"names": NAMES})):
        net = classifier()
        net.class_names = names
        assert net.class_names == NAMES
    with pytest.raises(TypeError, match="must be a list of texts"):
        net.class_names = pl.Series([1, 2, 3])


@pytest.mark.parametrize(("name", "message"), [("a\0", "ends in NUL"), ("a" * 257, "has 257 characters")])
def test_names_that_numpy_cannot_hold_well_are_refused(name, message):
    with pytest.raises(ValueError, match=message):
        classifier().class_names = ["a", name]


def test_errors_about_class_weights_say_what_to_do():
    net = classifier()
    net.class_names = NAMES
    with pytest.raises(ValueError, match="no weight for the class 0 of Y: Y holds numbers, so the keys must be"):
        trained(CLASSES, net=net, class_weight=dict.fromkeys(NAMES, 1.0))
    with pytest.raises(ValueError, match="not batches: give X and Y, as memory maps if they are large"):
        fit(net, batches, loss="cross_entropy", epochs=1, class_weight="balanced")
    with pytest.raises(ValueError) as caught:
        trained([label.replace("ant", "a" * 250) for label in LABELS], class_weight={})
    assert len(str(caught.value)) < 200


# --- advice ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (set(NAMES), "a set has no order, give a list"),
        ([None] * 7, "fill what is missing, or leave out its examples"),
        (np.array([b"a"] * 7, object), r"np.char.decode\(np.array\(labels, 'S'\), 'utf-8'\)"),
    ],
)
def test_errors_about_labels_say_what_to_do(given, message):
    with pytest.raises(TypeError, match=message):
        trained(given)


def test_errors_about_columns_advise_in_the_words_of_their_library():
    pd, pl, pa = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))
    pytest.importorskip("narwhals")
    day = datetime.date(2020, 1, 1)
    for column, advice in (
        (pd.to_datetime(pd.Series([day] * 7)), "astype(str)"),
        (pl.Series([day] * 7), "cast(pl.String)"),
        (pa.chunked_array([[day] * 7]), "cast('string')"),
    ):
        with pytest.raises(TypeError) as caught:
            trained(column)
        assert str(caught.value).endswith(f"to one column of text, with .{advice}")
