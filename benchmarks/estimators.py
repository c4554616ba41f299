"""Networks as scikit-learn estimators beside its own MLP: held-out scores and times on the tables that come with it.

    python benchmarks/estimators.py

The same layers, activation, optimizer, learning rate, batch size and number of epochs; times of fit interleaved, CPU
seconds, medians over the seeds; the score is the mean over the seeds, each with a split of its own.
"""

import statistics
import time
import warnings

from sklearn import datasets
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tinygrad_scalar.estimators import NetworkClassifier, NetworkRegressor

SEEDS = range(5)
RATE = 0.003
TABLES = {  # loader, hidden layers, epochs, batch size
    "digits": (datasets.load_digits, (32,), 60, 64),
    "iris": (datasets.load_iris, (16,), 200, 32),
    "wine": (datasets.load_wine, (16,), 100, 32),
    "breast cancer": (datasets.load_breast_cancer, (16,), 60, 32),
    "diabetes": (datasets.load_diabetes, (16,), 60, 32),
}


def ours(is_number, hidden, epochs, size, seed):
    options = {"epochs": epochs, "batch_size": size, "learning_rate": RATE, "random_state": seed, "l2": 0.0}
    return NetworkRegressor(hidden, **options) if is_number else NetworkClassifier(hidden, **options)


def theirs(is_number, hidden, epochs, size, seed):
    kind = MLPRegressor if is_number else MLPClassifier
    return kind(
        hidden_layer_sizes=hidden, activation="tanh", max_iter=epochs, batch_size=size, learning_rate_init=RATE,
        random_state=seed, n_iter_no_change=10**9, tol=0.0,
    )  # fmt: skip


def fitted(make, is_number, X, y, *arguments):
    model = make(is_number, *arguments)
    if is_number:
        model = TransformedTargetRegressor(model, transformer=StandardScaler())
    model = make_pipeline(StandardScaler(), model)
    start = time.process_time()
    model.fit(X, y)
    return model, time.process_time() - start


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(f"{'table':14} {'score':>7} {'sklearn':>8} {'s':>7} {'sklearn':>8} {'ratio':>6}")
    for name, (load, hidden, epochs, size) in TABLES.items():
        X, y = load(return_X_y=True)
        is_number = name == "diabetes"
        runs = {ours: ([], []), theirs: ([], [])}
        for seed in SEEDS:
            part = train_test_split(X, y, test_size=0.25, random_state=seed, stratify=None if is_number else y)
            for make, (scores, times) in runs.items():
                model, seconds = fitted(make, is_number, part[0], part[2], hidden, epochs, size, seed)
                scores.append(model.score(part[1], part[3]))
                times.append(seconds)
        scores = [statistics.mean(scores) for scores, _ in runs.values()]
        times = [statistics.median(times) for _, times in runs.values()]
        print(
            f"{name:14} {scores[0]:7.4f} {scores[1]:8.4f} {times[0]:7.3f} {times[1]:8.3f} {times[1] / times[0]:6.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
