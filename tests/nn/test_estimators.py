"""Networks as scikit-learn estimators: its own checks, and what users do with estimators."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import tinygrad_scalar as ts
from tinygrad_scalar import estimators
from tinygrad_scalar.estimators import NetworkClassifier, NetworkRegressor
from tinygrad_scalar.nn import EarlyStopping

IRIS = load_iris(return_X_y=True)
ESTIMATORS = [NetworkClassifier, NetworkRegressor]
both = pytest.mark.parametrize("kind", ESTIMATORS)


@both
@pytest.mark.thorough
def test_scikit_learns_checks_find_nothing(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the checks that are skipped, and of trainings of a few examples
        results = check_estimator(kind(random_state=0), on_fail=None, on_skip=None)
    assert [result["check_name"] for result in results if result["status"] in ("failed", "xfail")] == []
    assert sum(result["status"] == "passed" for result in results) > 50


def test_classes_can_be_texts_in_a_pipeline_that_is_cross_validated():
    X, y = IRIS
    model = make_pipeline(StandardScaler(), NetworkClassifier((8,), epochs=100, random_state=0))
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    assert cross_val_score(model, X, names, cv=3).mean() > 0.92
    model.fit(X, names)
    assert set(model.predict(X)) == set(names)
    assert model.predict_proba(X).sum(axis=1) == pytest.approx(1.0)


def test_a_grid_is_searched():
    X, y = IRIS
    grid = {"networkclassifier__hidden_layers": [(4,), (8, 4)], "networkclassifier__learning_rate": [1e-5, 0.02]}
    model = make_pipeline(StandardScaler(), NetworkClassifier(epochs=30, random_state=0))
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    assert search.best_params_["networkclassifier__learning_rate"] == 0.02


@both
def test_a_seed_makes_the_same_network_and_a_pickle_predicts_the_same(kind):
    X, y = IRIS
    first, second = (kind((4,), epochs=5, random_state=3).fit(X, y) for _ in range(2))
    assert first.predict(X).tolist() == second.predict(X).tolist()
    assert pickle.loads(pickle.dumps(first)).predict(X).tolist() == first.predict(X).tolist()
    assert clone(first).get_params() == first.get_params()


def test_warm_start_goes_on_and_partial_fit_trains_one_epoch():
    X, y = IRIS
    one = NetworkClassifier((4,), epochs=3, batch_size=None, warm_start=True, random_state=0)
    costs = [cost for _ in range(3) for cost in one.fit(X, y).history_.cost]
    whole = NetworkClassifier((4,), epochs=9, batch_size=None, random_state=0).fit(X, y)
    part = NetworkClassifier((4,), batch_size=None, random_state=0)
    for _ in range(9):
        part.partial_fit(X, y, classes=[0, 1, 2])
    assert costs == whole.history_.cost
    assert part.predict_proba(X).tolist() == whole.predict_proba(X).tolist()


def test_partial_fit_refuses_other_classes():
    X, y = IRIS
    model = NetworkClassifier((4,)).partial_fit(X[:100], y[:100], classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"must be those of the first call, \[0, 1, 2\]"):
        model.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="none of the classes"):
        model.partial_fit(X, y + 1)


def test_early_stopping_keeps_examples_aside():
    X, y = IRIS
    model = NetworkClassifier((8,), epochs=1000, early_stopping=EarlyStopping(5), learning_rate=0.05, random_state=0)
    model.fit(StandardScaler().fit_transform(X), y)
    assert model.history_.stopped == "early"
    assert model.history_.validation_cost


def test_balanced_classes_count_alike():
    X, y = IRIS
    X, y = X[:70], y[:70]  # 50 and 20
    balanced = NetworkClassifier((4,), epochs=5, class_weight="balanced", random_state=0).fit(X, y)
    weights = NetworkClassifier((4,), epochs=5, random_state=0).fit(
        X, y, sample_weight=np.where(y == 0, 1 / 50, 1 / 20)
    )
    assert balanced.predict_proba(X) == pytest.approx(weights.predict_proba(X), rel=1e-9)


def test_several_targets_are_several_outputs():
    X = np.linspace(-1, 1, 40)[:, None]
    Y = np.hstack([X, X**2])
    model = NetworkRegressor((8,), epochs=400, random_state=0).fit(X, Y)
    assert model.predict(X).shape == Y.shape
    assert model.score(X, Y) > 0.95


@both
def test_before_fit_there_is_nothing_to_predict(kind):
    with pytest.raises(NotFittedError):
        kind().predict(IRIS[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_layers": 5}, r"such as \(32, 16\), got 5"),
        ({"optimizer": "newton"}, "one of gradient_descent"),
        ({"batch_size": "large"}, 'None for all examples, or "auto"'),
        ({"class_weight": "even"}, "balanced"),
        ({"activation": "step"}, "activation must be one of"),
        ({"epochs": 0}, "epochs"),
    ],
)
def test_wrong_parameters_are_refused_by_fit(options, message):
    with pytest.raises(ValueError, match=message):
        NetworkClassifier(**options).fit(*IRIS)


def test_without_scikit_learn_the_error_says_how_to_install_it():
    code = "import sys; sys.modules['sklearn'] = None; import tinygrad_scalar as ts; ts.estimators"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'pip install "tinygrad_scalar[sklearn]"' in run.stderr.splitlines()[-1]
    assert ts.estimators.NetworkClassifier is NetworkClassifier
    with pytest.raises(AttributeError, match="has no attribute 'estimator'"):
        ts.estimator  # noqa: B018


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("load", "options", "least"),
    [
        (load_digits, {"hidden_layers": (64,), "epochs": 100, "batch_size": 64, "learning_rate": 0.005}, 0.97),
        (load_breast_cancer, {"hidden_layers": (16,), "epochs": 40, "learning_rate": 0.003}, 0.96),
    ],
)
def test_held_out_examples_are_classified(load, options, least):
    X, y = load(return_X_y=True)
    scores = []
    for seed in range(5):
        part = train_test_split(X, y, test_size=0.25, random_state=seed, stratify=y)
        model = make_pipeline(StandardScaler(), NetworkClassifier(random_state=seed, l2=1e-4, **options))
        scores.append(model.fit(part[0], part[2]).score(part[1], part[3]))
    assert np.mean(scores) >= least


@pytest.mark.thorough
def test_held_out_numbers_are_predicted():
    X, y = load_diabetes(return_X_y=True)
    scores = []
    for seed in range(5):
        part = train_test_split(X, (y - y.mean()) / y.std(), test_size=0.25, random_state=seed)
        model = make_pipeline(StandardScaler(), NetworkRegressor((8,), epochs=40, l2=0.02, random_state=seed))
        scores.append(model.fit(part[0], part[2]).score(part[1], part[3]))
    assert np.mean(scores) > 0.39  # scikit-learn's network of this size: 0.40


def fitted_on_iris(**parameters):
    X, y = IRIS
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    return NetworkClassifier((4,), epochs=3, random_state=0).set_params(**parameters).fit(X, names), X, names


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"class_weight": {"Setosa": 2.0}}, "'Setosa', which is none of the classes"),
        ({"class_weight": {"setosa": "2"}}, "finite numbers ≥ 0, got '2' for 'setosa'"),
        ({"class_weight": {"setosa": -1.0}}, "finite numbers ≥ 0, got -1.0 for 'setosa'"),
        ({"class_weight": np.ones(3)}, "must be a dict"),
        ({"hidden_layers": (2.7,)}, "a size in hidden_layers must be a positive integer, got 2.7"),
        ({"hidden_layers": "12"}, "hidden_layers must be a list of sizes"),
    ],
)
def test_a_slip_in_a_parameter_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        fitted_on_iris(**parameters)


def test_a_class_weight_of_a_class_that_a_fold_lacks_is_no_slip():
    weights = {"setosa": 1.0, "versicolor": 2.0, "virginica": 1.0, "rare": 5.0}
    assert fitted_on_iris(class_weight=weights)[0].history_.cost


def test_a_warm_start_goes_on_with_the_parameters_as_they_are_now():
    model, X, names = fitted_on_iris(warm_start=True)
    model.set_params(learning_rate=0.5, epochs=5).fit(X, names)
    assert (model.optimizer_.learning_rate, len(model.history_.cost)) == (0.5, 5)
    assert type(model.set_params(optimizer="sgd").fit(X, names).optimizer_).__name__ == "SGD"
    before = [p.data for p in model.network_.parameters()]
    with pytest.raises(ValueError, match=r"goes on with the same network, MLP\(4, \[4, 3\]"):
        model.set_params(hidden_layers=(5,)).fit(X, names)
    assert [p.data for p in model.network_.parameters()] == before


def test_a_warm_start_keeps_the_same_examples_for_validation(monkeypatch):
    kept, original = [], estimators.fit
    monkeypatch.setattr(
        estimators, "fit", lambda *a, **options: kept.append(options["validation"][0]) or original(*a, **options)
    )
    model, X, names = fitted_on_iris(warm_start=True, early_stopping=2)
    model.fit(X, names)
    np.testing.assert_array_equal(kept[0], kept[1])


def test_names_that_the_network_has_change_no_answer():
    X, y = IRIS
    y = np.array(["a", "b", "c"])[y]
    classifier = NetworkClassifier((4,), epochs=5, random_state=0).fit(X, y)
    regressor = NetworkRegressor((4,), epochs=5, random_state=0).fit(X, X[:, 0])
    expected = classifier.predict_proba(X), classifier.predict(X), classifier.score(X, y), regressor.predict(X)
    classifier.network_.class_names = ["c", "b", "a"]
    regressor.network_.class_names = ["low", "high"]
    found = classifier.predict_proba(X), classifier.predict(X), classifier.score(X, y), regressor.predict(X)
    assert all(np.array_equal(one, other) for one, other in zip(found, expected))


@both
def test_what_a_mask_hides_is_refused(kind):
    X, y = IRIS
    hidden = np.arange(len(y)) == 3
    for rows, targets in (
        (X, np.ma.array(y, mask=hidden)),
        (X, np.ma.array(y.astype(str), mask=hidden)),
        (np.ma.array(X, mask=np.repeat(hidden[:, None], 4, axis=1)), y),
    ):
        with pytest.raises(TypeError, match="masked elements"):
            kind(epochs=1).fit(rows, targets)
    with pytest.raises(TypeError, match="X has masked elements"):
        kind(epochs=1).fit(X, y).predict(np.ma.array(X, mask=np.repeat(hidden[:, None], 4, axis=1)))
