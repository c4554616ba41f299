"""A stepper's longer moves: to the next named value, through a layer, to a step by its number."""

import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value


def network():
    C = (ts.MLP(2, [3, 1], seed=0)([0.5, -1.0]) - 1) ** 2
    return ts.step(C, names={"C": C})


def test_next_value_stops_at_every_named_value_and_at_the_end():
    s = one_named()
    stops = []
    while s.position < s.total:
        stops.append((s.next("value").position, s.current.node.label))
    assert stops == [(2, "z"), (5, "C"), (6, "C"), (7, "C"), (10, "z"), (11, "")]
    assert "no step is left" in str(s.next("value"))


def one_named():
    """C = (σ(z) − y)², z = w·a + b: 5 values are computed."""
    w, a, b, y = (Value(number, name) for number, name in ((0.6, "w"), (0.8, "a"), (0.1, "b"), (0.0, "y")))
    z = w * a + b
    z.label = "z"
    C = (z.sigmoid() - y) ** 2
    C.label = "C"
    return ts.step(C)


def test_next_layer_goes_on_until_a_whole_layer_is_computed_or_passed_back_through():
    s = network()
    layers = [
        [node for node in s.notation.called if s.notation.name(node).startswith(name)] for name in ("a⁽¹⁾", "a⁽²⁾")
    ]
    assert [len(layer) for layer in layers] == [3, 1]
    s.next("layer")
    assert all(s.progress(node).computed for node in layers[0])
    assert not all(s.progress(node).computed for node in layers[1])
    s.next("layer")
    assert all(s.progress(node).computed for node in layers[1])
    s.next("layer")
    assert s.current.phase == "backward"
    weights = [[node for node in s.notation.called if s.notation.name(node).startswith(w)] for w in ("w⁽¹⁾", "w⁽²⁾")]
    assert all(s.progress(weight).complete for weight in weights[1])
    assert not all(s.progress(weight).complete for weight in weights[0])
    s.next("layer")
    assert s.position == s.total


@pytest.mark.parametrize("target", [0, 3, 20, 49])
@pytest.mark.parametrize("start", [0, 20, 30])
def test_to_a_number_goes_forward_or_back_to_that_step(start, target):
    s, same = network(), network()
    s.next(start)
    s.to(target)
    same.next(target)
    assert s.position == target
    assert str(s) == str(same)


def test_a_prompt_prints_the_step_that_was_taken():
    s = one_named()
    assert repr(s.next()).splitlines() == ["forward 1 of 5 (step 1 of 11)", "  w·a = 0.6·0.8 = 0.48"]
    assert [repr(step).splitlines()[-1].startswith("done") for step in s] == [False] * 9 + [True]
    assert "no step is left" in repr(s.next())


@pytest.mark.parametrize(
    ("move", "message"),
    [
        (lambda s: s.next("z"), 'must be an integer ≥ 0, "value" or "layer", got \'z\''),
        (lambda s: s.next("layer"), "no layers were found"),
        (lambda s: s.to(12), "from 0 to 11, got 12"),
        (lambda s: s.to(-1), "the step must be an integer ≥ 0"),
        (lambda s: s.to(True), "the step must be an integer ≥ 0"),
    ],
)
def test_a_longer_move_that_cannot_be_is_an_error_that_moves_nothing(move, message):
    s = one_named()
    s.next(4)
    with pytest.raises(ValueError, match=message):
        move(s)
    assert s.position == 4
