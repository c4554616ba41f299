"""Text labels, classifiers and trainings that the tests of `net.class_names` share."""

from support.trainings import CLASSES, X, data, fit
from tinygrad_scalar import MLP

NAMES = ("ant", "bee", "fly")
LABELS = [NAMES[i] for i in CLASSES]
TWO = ["no" if label == "ant" else "yes" for label in LABELS]


def classifier(k=3, activation="linear"):
    return MLP(2, [4, k], "tanh", activation, seed=0)


def trained(labels, rows=X, net=None, **options):
    net = net or classifier()
    fit(net, rows, labels, **{"loss": "cross_entropy", "epochs": 3, **options})
    return net


def outcome_of(net):
    return data(net), net.class_names


def batches():
    for start in range(0, len(X), 3):
        yield X[start : start + 3], LABELS[start : start + 3]
