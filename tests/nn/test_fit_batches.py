"""Batches from functions, iterables and generators: the steps and the bits of the same batches of arrays."""

import itertools

import numpy as np
import pytest
from support.trainings import CLASSES, X, Y, batches_seen, by_hand, data, fit, network, outcome

import tinygrad_scalar as ts
from tinygrad_scalar import MLP

M = len(X)


def batches(size=3):
    for start in range(0, M, size):
        yield X[start : start + size], Y[start : start + size]


class Loader:
    """As a DataLoader: iterable anew each time, with a length."""

    def __iter__(self):
        return batches()

    def __len__(self):
        return 3


# --- the same bits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vectorized", [True, False])
def test_batches_train_as_the_same_batches_of_arrays(vectorized):
    orders = iter(batches_seen(M, 3, seed=5, epochs=4))

    def drawn():  # in the order that fit draws
        for batch in itertools.islice(orders, 3):
            yield [X[i] for i in batch], [Y[i] for i in batch]

    net, other = network(), network()
    history = fit(net, drawn, epochs=4, validation=(X, Y), metrics=["rmse"], vectorized=vectorized)
    expected = fit(
        other, X, Y, epochs=4, batch_size=3, seed=5, validation=(X, Y), metrics=["rmse"], vectorized=vectorized
    )
    assert outcome(net, history) == outcome(other, expected)


def test_batches_are_the_loop_written_by_hand():
    net, other = network(), network()
    history = fit(net, batches, epochs=5, optimizer=ts.Adam(net.parameters(), 0.1))
    costs = by_hand(other, list(batches()) * 5, "squared_error", ts.Adam(other.parameters(), 0.1))
    assert data(net) == pytest.approx(data(other), rel=1e-12, abs=1e-13)
    means = [np.average(costs[e : e + 3], weights=[3, 3, 1]) for e in range(0, 15, 3)]  # the last is smaller
    assert history.cost == pytest.approx(means, rel=1e-12)


KINDS = {
    "function": lambda: batches,
    "loader": Loader,
    "list": lambda: list(batches()),
    "function of a list": lambda: lambda: list(batches()),
    "arrays": lambda: lambda: ((np.array(x), np.array(y)) for x, y in batches()),
    "part of an endless stream": lambda: lambda: itertools.islice(itertools.cycle(batches()), 3),
}


@pytest.mark.parametrize("kind", KINDS)
def test_any_source_of_the_same_batches_trains_alike(kind):
    net, other = network(), network()
    history = fit(net, KINDS[kind](), epochs=3, early_stopping=2, l2=0.01, callbacks=[lambda epoch: None])
    expected = fit(other, batches, epochs=3, early_stopping=2, l2=0.01)
    assert outcome(net, history) == outcome(other, expected)


def test_a_generator_serves_one_epoch():
    net, other = network(), network()
    fit(net, batches(), epochs=1, validation=batches(), metrics=["r2"])
    fit(other, batches, epochs=1)
    assert data(net) == data(other)


def test_validation_in_batches_is_that_of_all_its_examples():
    net, other = network(), network()
    options = {"epochs": 3, "metrics": ["rmse", "r2"], "early_stopping": 2}
    history = fit(net, X, Y, validation=batches, **options)
    expected = fit(other, X, Y, validation=(X, Y), **options)
    for name, course in expected.columns.items():
        assert history.columns[name] == pytest.approx(course, rel=1e-12)


def test_metrics_of_training_batches_are_measured_after_the_epoch():
    net = network()
    history = fit(net, batches, epochs=2, metrics=["rmse"])
    error = net.predict(X) - np.array(Y)
    assert history.metrics["rmse"][-1] == pytest.approx(np.sqrt((error**2).mean()))


def test_a_schedule_moves_within_an_epoch_where_the_number_of_batches_is_known():
    nets = [network() for _ in range(3)]
    fit(nets[0], Loader(), epochs=2, schedule=lambda t, epochs: 1 / (1 + t))
    fit(nets[1], list(batches()), epochs=2, schedule=lambda t, epochs: 1 / (1 + t))
    fit(nets[2], batches, epochs=2, schedule=lambda t, epochs: 1 / (1 + t))
    assert data(nets[0]) == data(nets[1]) != data(nets[2])


def test_a_training_on_batches_that_goes_on_is_one_that_was_not_interrupted(tmp_path):
    file = tmp_path / "run"
    fit(network(), batches, epochs=2, validation=batches, checkpoint=file)
    net, other = network(), network()
    history = fit(net, batches, epochs=5, validation=batches, checkpoint=file, resume=True)
    assert outcome(net, history) == outcome(other, fit(other, batches, epochs=5, validation=batches))


def test_a_checkpoint_of_other_batches_is_refused(tmp_path):
    fit(network(), batches, epochs=2, checkpoint=tmp_path / "run")
    for other in (lambda: batches(2), lambda: list(batches())[::-1]):
        with pytest.raises(ValueError, match="it belongs to another training: "):
            fit(network(), other, epochs=3, checkpoint=tmp_path / "run", resume=True)


def test_predictions_in_batches_are_those_for_all():
    net = network()
    expected = net.predict(X)
    for given in (batches, Loader(), (x for x, _ in batches()), lambda: [np.array(x) for x, _ in batches()]):
        np.testing.assert_allclose(net.predict(given), expected, rtol=1e-14)
    classifier = MLP(2, [3], "linear", seed=0)
    np.testing.assert_allclose(classifier.predict_proba(batches), classifier.predict_proba(X), rtol=1e-14)


def test_only_one_batch_is_asked_for_at_a_time():
    asked, steps = [], []

    def counted():
        for batch in batches():
            asked.append(0)
            yield batch

    class Watched(ts.GradientDescent):
        def stepped(self, theta, gradient):
            steps.append(len(asked))
            return super().stepped(theta, gradient)

    net = network()
    fit(net, counted, epochs=2, optimizer=Watched(net.parameters(), 0.1))
    assert steps == [1, 2, 3, 4, 5, 6]


# --- refusals --------------------------------------------------------------------------------------------------------

A, B = (X[:3], Y[:3]), (X[3:], Y[3:])
REFUSED = {
    "one-shot": (lambda: (batches(),), {}, ValueError, "only once, but they are needed 2 times: give a function"),
    "one-shot with metrics": (lambda: (batches(),), {"epochs": 1, "metrics": ["r2"]}, ValueError, "needed 2 times"),
    "one-shot validation": (lambda: (X, Y), {"validation": batches()}, ValueError, "the validation batches come from"),
    "batch_size": (lambda: (batches,), {"batch_size": 2}, ValueError, "leave out batch_size"),
    "Y beside batches": (lambda: (batches, Y), {}, TypeError, "stands alone, without Y"),
    "no Y": (lambda: (np.array(X),), {}, TypeError, "Y is missing"),
    "no batch": (lambda: (list,), {}, ValueError, "gave no batches"),
    "no iterable": (lambda: (lambda: None,), {}, TypeError, "must give batches, .*gave None"),
    "no pair": (lambda: (lambda: [np.array(X)],), {}, TypeError, r"batch 0 must be a pair \(X, Y\)"),
    "text": (
        lambda: (lambda: [(X, ["a"] * M)],),
        {},
        TypeError,
        "Y of batch 0 must hold numbers",
    ),
    "lengths": (lambda: (lambda: [(X, Y[1:])],), {}, ValueError, "X of batch 0 has 7 examples but Y of batch 0 has 6"),
    "sample_weight": (lambda: (batches,), {"sample_weight": [1] * M}, ValueError, "need all examples at once"),
    "class_weight": (lambda: (batches,), {"class_weight": "balanced"}, ValueError, "need all examples at once"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_gives_no_batches_is_refused_before_a_step(case):
    given, options, error, message = REFUSED[case]
    net = network()
    before = data(net)
    with pytest.raises(error, match=message):
        fit(net, *given(), **{"epochs": 2, **options})
    assert data(net) == before


LATER = {
    "width": (
        [A, ([[1.0, 2.0, 3.0]] * 4, Y[3:])],
        r"X of batch 1 in epoch 1 has the shape \(4, 3\) and that of batch 0 \(3, 2\)",
    ),
    "outputs": ([A, (X[3:], [1.0] * 4)], r"Y of batch 1 in epoch 1 has the shape \(4,\) and that of batch 0 \(3, 2\)"),
    "nan": (
        [A, (X[3:], [[1.0, float("nan")]] * 4)],
        r"Y of batch 1 in epoch 1 must hold finite numbers, got nan at Y\[0, 1\]",
    ),
    "empty": ([A, ([], [])], "X of batch 1 in epoch 1 must be a non-empty array"),
}


@pytest.mark.parametrize("case", LATER)
def test_a_later_batch_that_does_not_fit_leaves_the_network_as_it_was_then(case):
    given, message = LATER[case]
    net, other = network(), network()
    with pytest.raises(ValueError, match=message):
        fit(net, lambda: iter(given), epochs=3)
    fit(other, [A], epochs=1)
    assert data(net) == data(other)


@pytest.mark.parametrize("vectorized", [True, False])
def test_targets_of_a_later_batch_are_checked_too(vectorized):
    net, other = (MLP(2, [3], "linear", seed=0) for _ in range(2))
    first = (X[:3], CLASSES[:3])
    with pytest.raises(ValueError, match="from 0 to 2"):
        fit(net, lambda: [first, (X[3:], [0, 1, 2, 3])], loss="cross_entropy", epochs=2, vectorized=vectorized)
    fit(other, [first], loss="cross_entropy", epochs=1)
    assert data(net) == pytest.approx(data(other), rel=1e-12)


def test_a_function_that_gives_one_iterator_again_and_again_is_refused():
    once = batches()
    with pytest.raises(ValueError, match="gave no batches the second time"):
        fit(network(), lambda: once, epochs=2)


def test_an_exception_of_the_generator_passes_and_the_steps_before_it_count():
    def broken():
        yield A
        raise OSError("the disk is gone")

    net, other = network(), network()
    with pytest.raises(OSError, match="the disk is gone"):
        fit(net, broken, epochs=2)
    fit(other, [A], epochs=1)
    assert data(net) == data(other)


def test_an_interruption_in_the_first_epoch_leaves_a_network_and_an_empty_history():
    def interrupted():
        yield A
        raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted after 0 of 2 epochs"):
        history = fit(network(), interrupted, epochs=2)
    assert (history.cost, history.stopped) == ([], "interrupted")


def test_a_sparse_matrix_is_no_iterable_of_batches():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"convert a sparse array with \.toarray\(\)"):
        fit(network(), sparse.csr_matrix(X), Y)
    with pytest.raises(TypeError, match=r"convert a sparse array with \.toarray\(\)"):
        network().predict(sparse.csr_matrix(X))


@pytest.mark.parametrize("given", [list, lambda: iter(())])
def test_predictions_for_no_batch_are_refused(given):
    with pytest.raises(ValueError, match="gave no batches to predict"):
        network().predict(given)


# --- what the code that makes batches may do -------------------------------------------------------------------------


@pytest.mark.parametrize("vectorized", [True, False])
def test_what_makes_batches_sees_the_network_after_each_step_and_may_change_it(vectorized):
    net, other, seen = network(), network(), []

    def looking():
        for i, (batch_X, batch_Y) in enumerate(batches()):
            seen.append(data(net))
            assert net.predict(X[:1])[0] == pytest.approx([a.data for a in net(X[0])], rel=1e-12)
            if i == 1:
                net.parameters()[0].data = 5.0
            yield batch_X, batch_Y

    fit(net, looking, epochs=2, optimizer=ts.GradientDescent(net.parameters(), 0.1), vectorized=vectorized)
    expected, descent = [], ts.GradientDescent(other.parameters(), 0.1)
    for _ in range(2):
        for i, batch in enumerate(batches()):
            expected.append(data(other))
            if i == 1:
                other.parameters()[0].data = 5.0
            by_hand(other, [batch], "squared_error", descent)
    assert seen == [pytest.approx(numbers, rel=1e-12) for numbers in expected]
    assert data(net) == pytest.approx(data(other), rel=1e-12)


def test_arrays_that_are_refilled_for_each_batch_have_the_metrics_of_arrays_that_are_not():
    x, y = np.empty((1, 2)), np.empty((1, 2))

    def refilled():
        for row, target in zip(X, Y):
            x[0], y[0] = row, target
            yield x, y

    histories = [
        fit(network(), given, epochs=3, metrics=["rmse", "r2"], validation=given)
        for given in (refilled, [([row], [target]) for row, target in zip(X, Y)].__iter__)
    ]
    assert histories[0].metrics == histories[1].metrics
