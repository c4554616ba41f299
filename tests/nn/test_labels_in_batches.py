"""Text labels in batches: by the names that the network has, all of them text, and errors that name the batch."""

import pytest
from support.labels import LABELS, NAMES, batches, classifier, outcome_of, trained
from support.trainings import CLASSES, X, data, fit


def test_batches_number_by_the_names_that_the_network_has():
    net = classifier()
    with pytest.raises(ValueError, match=r"Y of batch 0 holds text, .* net.class_names = \['cat', 'dog'\]"):
        fit(net, batches, loss="cross_entropy", epochs=2)
    net.class_names = NAMES
    fit(net, batches, loss="cross_entropy", epochs=2, validation=batches)
    other = classifier()
    numbers = [(rows, [NAMES.index(label) for label in labels]) for rows, labels in batches()]
    fit(other, numbers, loss="cross_entropy", epochs=2)
    assert data(net) == data(other)
    listed = classifier()
    fit(listed, list(batches()), loss="cross_entropy", epochs=2)  # which can be read beforehand
    assert outcome_of(listed) == outcome_of(net)


def test_an_unknown_label_in_a_later_batch_is_named_with_batch_and_epoch():
    net = classifier()
    net.class_names = NAMES

    def later(epoch):
        yield from batches()
        if epoch == 2:
            yield X[:2], ["ant", "wasp"]

    message = "Y of batch 3 in epoch 2 has the label 'wasp' in row 1"
    with pytest.raises(ValueError, match=message):
        fit(net, later, loss="cross_entropy", epochs=3)


def test_batches_of_text_and_of_numbers_do_not_mix():
    numbers, texts = (X[:3], CLASSES[:3]), (X[3:], LABELS[3:])
    net = classifier()
    before = outcome_of(net)
    with pytest.raises(TypeError, match="Y of batch 1 holds text, but Y of batch 0 does not"):
        trained(None, [numbers, texts], net)
    assert outcome_of(net) == before
    net.class_names = NAMES
    for given in ([texts, numbers], lambda: iter([texts, numbers])):
        with pytest.raises(TypeError, match=r"Y of batch 0 holds text, but Y of batch 1.* does not"):
            trained(None, given, net)
    with pytest.raises(TypeError, match="validation Y of batch 1 in epoch 1 holds text, but validation Y of batch 0"):
        trained(LABELS, net=net, validation=[numbers, texts])
