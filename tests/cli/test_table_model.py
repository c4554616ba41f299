"""A network for a table: standardised on the training rows, split by class, predicting in the target's own unit."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar.cli.columns import Scale
from tinygrad_scalar.cli.scores import accuracy, confusion_matrix, r_squared
from tinygrad_scalar.cli.split import split
from tinygrad_scalar.cli.table_model import TableModel, untrained_model
from tinygrad_scalar.datasets import Table, iris
from tinygrad_scalar.nn.losses import LOSSES


def table_of(**columns):
    rows = [[str(cell) for cell in row] for row in zip(*columns.values())]
    return Table("t.csv", list(columns), rows, [line + 2 for line in range(len(rows))])


FLOWERS = table_of(
    width=[1, 2, 3, 4, 5, 6],
    id=[10, 20, 30, 40, 50, 60],
    kind=["b", "a", "c", "a", "b", "c"],
    height=[2, 4, 6, 8, 10, 99],
)


def model_of(table=FLOWERS, rows=range(6), target="kind", layers=(2,), **options):
    return untrained_model(table, rows, target=target, layers=layers, **options)


# --- standardising ---------------------------------------------------------------------------------------------------


def test_inputs_are_standardised_with_mean_and_deviation_of_the_training_rows_alone():
    rows = [0, 1, 3]
    model = model_of(rows=rows)
    columns = np.array([FLOWERS.numbers(name) for name in ("width", "id", "height")]).T
    expected = (columns - columns[rows].mean(axis=0)) / columns[rows].std(axis=0)
    np.testing.assert_allclose(model.inputs(FLOWERS), expected, rtol=1e-13)
    assert model.features == ["width", "id", "height"]


def test_what_is_held_out_does_not_change_the_model():
    rows = [0, 1, 2, 3, 4]
    other = FLOWERS._replace(rows=[*FLOWERS.rows[:5], ["1e6", "-1e6", "c", "7"]])
    for target in ("kind", "height"):
        here, there = (model_of(table, rows, target, ignore=["kind"]) for table in (FLOWERS, other))
        assert (here.scales, here.target_scale) == (there.scales, there.target_scale)


def test_training_inputs_have_mean_0_and_deviation_1():
    table = iris()
    rows, _ = split(table, "species", 0.3)
    inputs = np.array(model_of(table, rows, "species").inputs(table.select(rows)))
    np.testing.assert_allclose(inputs.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(inputs.std(axis=0), 1.0, rtol=1e-12)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.floats(-1e6, 1e6))
def test_undoing_a_scale_gives_the_number_back(numbers, x):
    scale = Scale.of(numbers)
    assert scale.undo(scale.apply(x)) == pytest.approx(x, rel=1e-9, abs=1e-9 * max(1.0, abs(scale.mean)))


def test_a_column_that_is_constant_becomes_zeros():
    table = table_of(x=[7, 7, 7], target=["a", "b", "a"])
    assert model_of(table, [0, 1, 2], "target").inputs(table) == [[0.0], [0.0], [0.0]]


# --- classes and numbers ---------------------------------------------------------------------------------------------

INDICES = [1, 0, 2, 0]
ON_AND_OFF = [[0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0]]
PLUS_AND_MINUS = [[-1, 1, -1], [1, -1, -1], [-1, -1, 1], [1, -1, -1]]
# target, loss, the activation of the last layer, classes, the targets of the rows of DIGITS
KINDS = {
    "text": ("kind", None, "linear", ["a", "b", "c"], INDICES),
    "text, cross-entropy": ("kind", "cross_entropy", "linear", ["a", "b", "c"], INDICES),
    "text, binary": ("kind", "binary_cross_entropy", "sigmoid", ["a", "b", "c"], ON_AND_OFF),
    "text, squares": ("kind", "squared_error", "sigmoid", ["a", "b", "c"], ON_AND_OFF),
    "text, absolute": ("kind", "absolute_error", "sigmoid", ["a", "b", "c"], ON_AND_OFF),
    "text, hinge": ("kind", "hinge", "linear", ["a", "b", "c"], PLUS_AND_MINUS),
    "digits as classes": ("digit", "cross_entropy", "linear", ["2", "10"], [1, 0, 0, 1]),
    "digits, hinge": ("digit", "hinge", "linear", ["2", "10"], [[-1, 1], [1, -1], [1, -1], [-1, 1]]),
    "a number": ("digit", None, "linear", None, [1.0, -1.0, -1.0, 1.0]),
    "a number, squares": ("digit", "squared_error", "linear", None, [1.0, -1.0, -1.0, 1.0]),
    "a number, absolute": ("digit", "absolute_error", "linear", None, [1.0, -1.0, -1.0, 1.0]),
}
DIGITS = table_of(x=[1, 2, 3, 4], kind=["b", "a", "c", "a"], digit=[10, 2, 2, 10])


@pytest.mark.parametrize(("target", "loss", "activation", "classes", "targets"), KINDS.values(), ids=KINDS)
def test_text_is_a_class_and_a_number_a_number_unless_the_loss_is_one_for_classes(
    target, loss, activation, classes, targets
):
    model = model_of(DIGITS, range(4), target, loss=loss, ignore=["kind", "digit"])
    assert model.classes == classes
    assert model.loss == (loss or ("squared_error" if classes is None else "cross_entropy"))
    assert model.net.output_activation == activation
    assert model.net.layer_sizes == [2, 1 if classes is None else len(classes)]
    assert model.targets(DIGITS) == targets
    assert (model.target_scale is None) == (classes is not None)


@pytest.mark.parametrize("target", ["kind", "digit"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_takes_the_targets_made_for_it(target, loss):
    model = model_of(DIGITS, range(4), target, loss=loss, ignore=["kind", "digit"])
    for x, y in zip(model.inputs(DIGITS), model.targets(DIGITS)):
        assert math.isfinite(LOSSES[loss](model.net(x), y).data)


def test_classes_seen_only_outside_the_training_rows_have_an_output_too():
    assert model_of(rows=[0, 1, 3]).classes == ["a", "b", "c"]


def test_weights_come_from_the_seed():
    def weights(seed):
        return [parameter.data for parameter in model_of(seed=seed).net.parameters()]

    assert weights(3) == weights(3)
    assert weights(3) != weights(4)


def test_layers_and_activation_are_the_hidden_layers():
    net = model_of(layers=[5, 4], activation="relu").net
    assert (net.n_inputs, net.layer_sizes, net.activation) == (3, [5, 4, 3], "relu")
    assert model_of(layers=[]).net.layer_sizes == [3]


# options of a model that cannot be made, and what the error says
REFUSED = {
    "an unknown target": ({"target": "nothing"}, "no column 'nothing'; its columns are width, id, kind, height"),
    "an unknown column to ignore": ({"ignore": ["nothing"]}, "no column 'nothing'"),
    "no feature left": ({"ignore": ["width", "id", "height"]}, "no column left to predict 'kind' from"),
    "an unknown loss": ({"loss": "cosine"}, "loss must be one of squared_error, .*, got 'cosine'"),
}


@pytest.mark.parametrize(("options", "words"), REFUSED.values(), ids=REFUSED)
def test_a_model_that_cannot_be_made_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        model_of(**options)


def test_one_class_only_is_refused():
    with pytest.raises(ValueError, match=r"every row of t.csv has 'a' as 'kind'"):
        model_of(table_of(x=[1, 2], kind=["a", "a"]), [0, 1])


def test_a_target_number_that_never_changes_is_refused():
    with pytest.raises(ValueError, match="nothing to learn"):
        model_of(table_of(x=[1, 2, 3], y=[5, 5, 5]), [0, 1, 2], "y")


@pytest.mark.parametrize("column", ["width", "kind"])
def test_a_missing_cell_is_an_error_that_names_line_and_column(column):
    position = FLOWERS.columns.index(column)
    rows = [[*row] for row in FLOWERS.rows]
    rows[3][position] = ""
    with pytest.raises(ValueError, match=f"t.csv, line 5: the value of column '{column}' is missing"):
        model_of(FLOWERS._replace(rows=rows))


# --- predictions -----------------------------------------------------------------------------------------------------


def test_a_class_is_predicted_by_its_largest_output():
    model = model_of(layers=[4], seed=1)
    outputs = [[a.data for a in model.net(x)] for x in model.inputs(FLOWERS)]
    assert model.predict(FLOWERS) == [model.classes[int(np.argmax(row))] for row in outputs]


def test_names_that_the_network_has_change_no_prediction():
    model = model_of(layers=[4], seed=1)
    expected = model.predict(FLOWERS)
    model.net.class_names = sorted(model.classes, reverse=True)
    assert model.predict(FLOWERS) == expected


def test_a_number_is_predicted_in_its_own_unit():
    table = table_of(x=[0, 1, 2, 3], y=[1000, 1010, 1020, 1030])
    model = model_of(table, range(4), "y", layers=[])
    (w,), b = model.net.layers[0].neurons[0].w, model.net.layers[0].neurons[0].b
    w.data, b.data = 1.0, 0.0  # y and x standardised are the same
    assert model.predict(table) == pytest.approx([1000, 1010, 1020, 1030])
    b.data = 1.0
    deviation = np.std([1000, 1010, 1020, 1030])
    assert model.predict(table) == pytest.approx(np.array([1000, 1010, 1020, 1030]) + deviation)


def test_predictions_need_the_features_not_the_target_nor_their_order():
    model = model_of(target="height", ignore=["kind"])
    shuffled = table_of(other=["?"] * 6, id=FLOWERS.numbers("id"), width=FLOWERS.numbers("width"))
    assert model.predict(shuffled) == model.predict(FLOWERS)


def test_predicting_from_a_table_without_a_feature_names_it():
    with pytest.raises(ValueError, match="no column 'id'"):
        model_of().predict(table_of(width=[1], height=[2]))


# --- saving ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["kind", "height"])
@pytest.mark.parametrize("seed", range(3))
def test_a_loaded_model_is_the_saved_one_and_predicts_the_same(target, seed, tmp_path):
    ignore = [] if target == "kind" else ["kind"]
    model = model_of(rows=[0, 2, 4, 5], target=target, ignore=ignore, layers=[3, 2], seed=seed)
    model.save(tmp_path / "m.safetensors")
    loaded = TableModel.load(tmp_path / "m.safetensors")
    assert loaded.predict(FLOWERS) == model.predict(FLOWERS)
    assert loaded.targets(FLOWERS) == model.targets(FLOWERS)
    for field in ("loss", "target", "features", "scales", "classes", "target_scale"):
        assert getattr(loaded, field) == getattr(model, field)


def test_names_in_any_letters_are_saved(tmp_path):
    table = table_of(**{"Länge, σ": [1, 2, 3], 'Art "x"': ["ä\n", "🙂", "'"]})
    model = model_of(table, [0, 1, 2], 'Art "x"')
    model.save(tmp_path / "m.safetensors")
    assert TableModel.load(tmp_path / "m.safetensors").predict(table) == model.predict(table)


# what a file holds as a model's description if it is a network, but not one for a table
NOT_A_TABLE = [{}, {"table": {}}, {"table": None}, {"table": {"loss": "hinge"}}, {"table": [1]}, {"other": 1}]


@pytest.mark.parametrize("metadata", NOT_A_TABLE, ids=str)
def test_a_network_that_is_no_tables_model_is_refused(metadata, tmp_path):
    path = tmp_path / "m.safetensors"
    ts.save(ts.MLP(2, [1]), path, metadata)
    with pytest.raises(ValueError, match=r"m\.safetensors"):
        TableModel.load(path)


# --- the split -------------------------------------------------------------------------------------------------------

FRACTIONS = st.floats(0.01, 0.99)
CLASS_SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=6)
SEEDS = st.integers(0, 2**32)


def split_or_none(table, target, fraction, seed):
    try:
        return split(table, target, fraction, seed)
    except ValueError as error:
        assert "holds out none" in str(error)
        return None


@given(CLASS_SIZES, FRACTIONS, SEEDS)
def test_a_split_is_disjoint_complete_and_in_order(sizes, fraction, seed):
    kinds = [f"class {i}" for i, size in enumerate(sizes) for _ in range(size)]
    parts = split_or_none(table_of(kind=kinds), "kind", fraction, seed)
    if parts is not None:
        training, held_out = parts
        assert sorted(training + held_out) == list(range(len(kinds)))
        assert training
        assert held_out
        assert (training, held_out) == (sorted(training), sorted(held_out))


@settings(max_examples=3 * settings.default.max_examples)
@given(CLASS_SIZES, FRACTIONS, SEEDS)
def test_every_class_is_held_out_in_the_same_proportion(sizes, fraction, seed):
    kinds = [f"class {i}" for i, size in enumerate(sizes) for _ in range(size)]
    parts = split_or_none(table_of(kind=kinds), "kind", fraction, seed)
    if parts is not None:
        counts = Counter(kinds[row] for row in parts[1])
        for kind, size in Counter(kinds).items():
            assert counts[kind] == pytest.approx(fraction * size, abs=1.0 + 1e-9), (kind, size)
            assert counts[kind] < size  # there is one to learn from


@given(st.integers(2, 60), FRACTIONS, SEEDS)
def test_rows_with_a_number_as_target_are_split_as_one_group(size, fraction, seed):
    parts = split_or_none(table_of(y=range(size)), "y", fraction, seed)
    if parts is not None:
        assert len(parts[1]) == pytest.approx(fraction * size, abs=1.0)


def test_the_seed_decides_the_split():
    table = iris()
    assert split(table, "species", 0.25, 7) == split(table, "species", 0.25, 7)
    assert split(table, "species", 0.25, 7) != split(table, "species", 0.25, 8)


def test_a_third_of_iris_is_fifty_flowers_of_all_kinds():
    table = iris()
    _, held_out = split(table, "species", 1 / 3)
    assert sorted(Counter(table.select(held_out).column("species")).values()) == [16, 17, 17]


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, 2.0, math.nan, math.inf])
def test_a_fraction_outside_0_to_1_is_refused(fraction):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        split(FLOWERS, "kind", fraction)


@pytest.mark.parametrize("fraction", [0.001, 0.05])
def test_a_fraction_that_holds_out_nothing_is_refused(fraction):
    with pytest.raises(ValueError, match=r"holds out none of t\.csv's 6 rows"):
        split(FLOWERS, "height", fraction)


def test_an_unknown_target_cannot_be_split_by():
    with pytest.raises(ValueError, match="no column 'nothing'"):
        split(FLOWERS, "nothing", 0.5)


# --- scores ----------------------------------------------------------------------------------------------------------

LABELS = st.sampled_from("abc")
PAIRS = st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=40)


@given(PAIRS)
def test_the_confusion_matrix_counts_every_pair_and_its_diagonal_is_the_accuracy(pairs):
    actual, predicted = zip(*pairs)
    matrix = np.array(confusion_matrix(actual, predicted, "abc"))
    expected = np.zeros((3, 3), int)
    np.add.at(expected, (["abc".index(i) for i in actual], ["abc".index(j) for j in predicted]), 1)
    np.testing.assert_array_equal(matrix, expected)
    assert accuracy(actual, predicted) == matrix.trace() / len(pairs)


@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=2, max_size=30))
def test_r_squared_is_the_share_of_the_variance_that_is_explained(pairs):
    actual, predicted = np.array(pairs).T
    if np.var(actual) > 1e-6:
        expected = 1.0 - np.mean((actual - predicted) ** 2) / np.var(actual)
        assert r_squared(actual.tolist(), predicted.tolist()) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_r_squared_is_1_for_the_truth_0_for_the_mean_and_nan_where_there_is_nothing_to_explain():
    assert r_squared([1.0, 2.0, 4.0], [1.0, 2.0, 4.0]) == 1.0
    assert r_squared([1.0, 2.0, 6.0], [3.0, 3.0, 3.0]) == 0.0
    assert math.isnan(r_squared([2.0, 2.0], [1.0, 3.0]))
