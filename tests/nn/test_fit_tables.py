"""Tables of pandas, polars and pyarrow train as the arrays of their columns; others are refused by their names."""

import numpy as np
import pytest
from support.trainings import CLASSES, X, Y, data, fit, network

import tinygrad_scalar as ts
from tinygrad_scalar import MLP

pytest.importorskip("narwhals")
LIBRARIES = ["pandas", "polars", "pyarrow"]
INPUTS = {"a": [row[0] for row in X], "b": [row[1] for row in X]}
TARGETS = {"p": [row[0] for row in Y], "q": [row[1] for row in Y]}


def table(library, columns):
    module = pytest.importorskip(library)
    return module.table(columns) if library == "pyarrow" else module.DataFrame(columns)


def column(library, numbers):
    module = pytest.importorskip(library)
    return module.chunked_array([numbers[:3], numbers[3:]]) if library == "pyarrow" else module.Series(numbers)


each = pytest.mark.parametrize("library", LIBRARIES)


# --- the same bits ---------------------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("vectorized", [True, False])
def test_a_table_trains_as_the_array_of_its_columns(library, vectorized):
    net, other = network(), network()
    inputs, targets = table(library, INPUTS), table(library, TARGETS)
    options = {"epochs": 4, "batch_size": 3, "metrics": ["rmse"], "vectorized": vectorized}
    history = fit(net, inputs, targets, validation=(inputs, targets), **options)
    expected = fit(other, np.array(X), np.array(Y), validation=(X, Y), **options)
    assert data(net) == data(other)
    assert history.columns == expected.columns


@each
def test_integers_booleans_and_floats_are_one_array(library):
    columns = {"n": [1, 2, 3], "is": [True, False, True], "x": [0.5, 1.5, -1.0]}
    expected, net = (MLP(3, [1], seed=0) for _ in range(2))
    fit(net, table(library, columns), [0.0, 1.0, 0.0], epochs=3)
    fit(expected, np.array([[1, 1, 0.5], [2, 0, 1.5], [3, 1, -1.0]]), [0.0, 1.0, 0.0], epochs=3)
    assert data(net) == data(expected)


@each
@pytest.mark.parametrize("as_table", [True, False])
def test_classes_can_be_a_column_or_a_table_of_one_column(library, as_table):
    net, other = (MLP(2, [3], "linear", seed=0) for _ in range(2))
    classes = table(library, {"class": CLASSES}) if as_table else column(library, CLASSES)
    options = {"loss": "cross_entropy", "epochs": 3, "class_weight": "balanced", "metrics": ["accuracy"]}
    fit(net, table(library, INPUTS), classes, **options)
    fit(other, X, CLASSES, **options)
    assert data(net) == data(other)


def test_nullable_columns_of_pandas_without_a_missing_cell_are_numbers():
    pd = pytest.importorskip("pandas")
    nullable = pd.DataFrame(
        {
            "n": pd.array([1, 2, 3], "Int64"),
            "is": pd.array([True, False, True], "boolean"),
            "x": pd.array([0.5, 1.5, -1.0], "Float32"),
        }
    )
    net, other = (MLP(3, [2], "linear", seed=0) for _ in range(2))
    fit(net, nullable, pd.Series([0, 1, 0], dtype="Int8"), loss="cross_entropy", epochs=3)
    fit(other, [[1, 1, 0.5], [2, 0, 1.5], [3, 1, -1.0]], [0, 1, 0], loss="cross_entropy", epochs=3)
    assert data(net) == data(other)


@pytest.mark.parametrize("names", [[0, 1], [("a", "b"), ("a", "c")]], ids=["numbers", "levels"])
def test_columns_of_pandas_can_have_any_names(names):
    pd = pytest.importorskip("pandas")
    columns = pd.MultiIndex.from_tuples(names) if isinstance(names[0], tuple) else names
    net, other = network(), network()
    fit(net, pd.DataFrame(X, columns=columns), Y, epochs=2)
    fit(other, X, Y, epochs=2)
    assert data(net) == data(other)


@each
def test_predictions_for_a_table_are_those_for_its_array(library):
    net, inputs = MLP(2, [3], "linear", seed=0), table(library, INPUTS)
    np.testing.assert_array_equal(net.predict(inputs), net.predict(X))
    np.testing.assert_array_equal(net.predict_proba(inputs), net.predict_proba(X))


@each
def test_a_checkpoint_of_a_table_is_one_of_its_array(library, tmp_path):
    file = tmp_path / "run"
    fit(network(), table(library, INPUTS), table(library, TARGETS), epochs=2, checkpoint=file)
    net, other = network(), network()
    fit(net, np.array(X), np.array(Y), epochs=4, checkpoint=file, resume=True)
    fit(other, X, Y, epochs=4)
    assert data(net) == data(other)


# --- what is no number -----------------------------------------------------------------------------------------------


def refusal(X, Y=(0.0, 1.0, 0.0)):
    net = MLP(2, [1], seed=0)
    before = data(net)
    with pytest.raises((TypeError, ValueError)) as raised:
        fit(net, X, Y, epochs=1)
    assert data(net) == before
    return f"{raised.type.__name__}: {raised.value}"


@each
def test_a_missing_cell_is_named_by_column_and_row(library):
    message = refusal(table(library, {"a": [1, 2, 3], "b": [0.5, 1.0, None]}))
    assert message.startswith("ValueError: X must hold finite numbers, but column 'b' of X has a missing cell in row 2")
    assert "fill them or drop their rows; `tinygrad-scalar train`" in message


def test_a_number_that_is_not_finite_is_named_by_column_and_row():
    pl = pytest.importorskip("polars")
    for number in (float("nan"), float("-inf")):
        message = refusal(pl.DataFrame({"a": [1, 2, 3], "b": [0.5, number, 1.0]}))
        assert message.startswith(f"ValueError: X must hold finite numbers, got {number} in row 1")
        assert message.endswith("of column 'b' of X")


@each
def test_text_is_named_by_its_column_with_what_to_do(library):
    message = refusal(table(library, {"a": [1, 2, 3], "city": ["Oslo", "Rome", "Rome"]}))
    assert message.startswith("TypeError: X must hold numbers, but column 'city' of X is text")
    assert "one-hot" in message
    assert "`tinygrad-scalar train`" in message


def test_categories_dates_and_objects_are_no_numbers():
    pd = pytest.importorskip("pandas")
    for cells, kind in [
        (pd.Categorical([1, 2, 1]), "Categorical"),
        (pd.to_datetime(["2020-01-01"] * 3), "Datetime"),
        (np.array([1, "x", 2.0], object), "text or objects"),
    ]:
        assert kind in refusal(pd.DataFrame({"a": [1, 2, 3], "b": cells}))


def test_two_columns_of_one_name_are_refused():
    pd, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    assert "X has two columns of one name (a)" in refusal(pd.DataFrame([[1.0, 2.0]] * 3, columns=["a", "a"]))
    assert "X has two columns of one name (a)" in refusal(pa.table([[1.0, 2.0, 3.0]] * 2, names=["a", "a"]))


def test_a_lazy_table_has_to_be_collected():
    pl = pytest.importorskip("polars")
    assert "give the rows that collect() returns" in refusal(pl.LazyFrame({"a": [1, 2, 3], "b": [1, 2, 3]}))


@each
def test_a_table_without_rows_or_columns_is_refused(library):
    assert "must be a non-empty array" in refusal(table(library, {"a": [], "b": []}), [])
    assert "must be a non-empty array" in refusal(table(library, {}))


def test_a_list_of_dicts_is_refused_with_the_way_to_a_table():
    assert "make a table of dicts" in refusal([{"a": 1, "b": 2}] * 3)


def test_without_narwhals_a_table_of_numbers_is_what_numpy_makes_of_it(monkeypatch):
    import sys

    pd = pytest.importorskip("pandas")
    monkeypatch.setitem(sys.modules, "narwhals", None)
    net, other = network(), network()
    ts.fit(net, pd.DataFrame(INPUTS), pd.DataFrame(TARGETS), epochs=2, progress=False)
    fit(other, X, Y, epochs=2)
    assert data(net) == data(other)
    assert "X must hold numbers" in refusal(pd.DataFrame({"a": [1, 2, 3], "city": ["Oslo", "Rome", "Rome"]}))


# --- estimators ------------------------------------------------------------------------------------------------------


@each
def test_estimators_take_tables_with_class_names(library):
    estimators = pytest.importorskip("tinygrad_scalar.estimators")
    names = ["yes" if label == 0 else "no" for label in CLASSES]
    options = {"hidden_layers": (3,), "epochs": 3, "random_state": 0}
    model = estimators.NetworkClassifier(**options).fit(table(library, INPUTS), column(library, names))
    expected = estimators.NetworkClassifier(**options).fit(np.array(X), np.array(names))
    assert model.classes_.tolist() == ["no", "yes"]
    np.testing.assert_array_equal(model.predict_proba(table(library, INPUTS)), expected.predict_proba(np.array(X)))


@each
@pytest.mark.parametrize(
    ("names", "message"), [("ba", "column 0 is 'b' in .* and 'a' in"), ("ac", "column 1 is 'c' in .* and 'b' in")]
)
def test_columns_of_other_names_or_in_another_order_are_refused(names, message, library):
    net = network()
    before = data(net)
    other = table(library, dict(zip(names, INPUTS.values())))
    with pytest.raises(ValueError, match=f"validation X must have the columns of X in the same order, but {message} X"):
        fit(net, table(library, INPUTS), Y, validation=(other, Y))
    assert data(net) == before
    with pytest.raises(
        ValueError, match=f"X of batch 1 in epoch 1 must have the columns of batch 0 .* {message} batch 0"
    ):
        fit(net, [(table(library, INPUTS), Y), (other, Y)])
    with pytest.raises(ValueError, match="validation X of batch 1"):
        fit(net, X, Y, validation=lambda: iter([(table(library, INPUTS), Y), (other, Y)]))


@each
def test_names_are_compared_with_names_only(library):
    history = fit(network(), table(library, INPUTS), Y, epochs=1, validation=(X, Y))
    assert (
        history.validation_cost
        == fit(network(), X, Y, epochs=1, validation=(table(library, INPUTS), Y)).validation_cost
    )
