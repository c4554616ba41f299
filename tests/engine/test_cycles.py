"""No cycle of Values that can be made from Python leaks, and nothing that is reachable is freed.

A Value refers to what it was computed from, and an instance of a subclass to whatever its attributes hold.
"""

import copy
import gc
import pickle
import random
import weakref

import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import acyclic, record, weighted_sum


class Named(Value):
    """With a `__dict__` and weak references."""


class Slotted(Value):
    __slots__ = ("__weakref__", "held", "more")


class Deeper(Named):
    __slots__ = ("held",)


@acyclic
class Plain(Value):
    __slots__ = ()


class Text(str):
    """A label with attributes."""


def below(v):
    """Everything that an operation on v can be."""
    yield from (v + 1.0, 1.0 - v, v * v, -v, v.tanh(), v.relu(), v**2, v**0, 2.0**v, v.leaky_relu(0.1))
    yield from (ts.maximum(v, 1.0), ts.minimum(0.0, v), ts.where(v, v, 1.0), ts.where(1.0, 2.0, v))
    yield from (ts.logaddexp(v, v), record("greater", v, 1.0), weighted_sum([v], [v], v))
    yield from (copy.copy(v * 2.0), copy.deepcopy([v, v * 2.0])[1], (v * 2.0).exp().forward())


def attribute(cls):
    a = cls(1.0)
    a.held = list(below(a))
    return [a]


def through_other_containers():
    a = Named(1.0)
    held = a * 2.0
    a.function = lambda: held
    a.pair = ({"key": (held + 1.0,)}, iter([held]))
    return [a]


def each_other():
    a, b, c = Named(1.0), Slotted(2.0), Deeper(3.0)
    a.child, b.held, c.other = b * 1.0, (c + 1.0) * 2.0, [ts.where(a, b, c)]
    return [a, b, c]


def itself():
    a = Named(1.0, "a")
    a.own = a
    return [a]


def label(of):
    text = Text("v")
    value = of(1.0, text)
    text.value = value
    again = Text("w")
    value.label = again
    again.value = [value * 2.0]
    return [text, again]


def a_chain(length=50_000):
    a = Named(1.0)
    node = a
    for _ in range(length):
        node = node + 1.0
    a.last = node
    return [a]


def many_links(length=10_000):
    first = last = Named(1.0)
    for _ in range(length):
        following = Named(2.0)
        last.following = following * 1.0
        following.before = last
        last = following
    last.following = first * 2.0
    return [first, last]


def a_class():
    class Local(Value):
        pass

    a = Local(1.0)
    Local.instances = [a * 2.0]
    return [a, Local]


CYCLES = {
    "attribute of a subclass": lambda: attribute(Named),
    "slot of a subclass": lambda: attribute(Slotted),
    "slot of a subclass of a subclass": lambda: attribute(Deeper),
    "through closures, dicts, tuples, iterators": through_other_containers,
    "several": each_other,
    "itself": itself,
    "label": lambda: label(Value),
    "label of a subclass": lambda: label(Named),
    "chain": a_chain,
    "links": many_links,
    "class": a_class,
}


@pytest.mark.parametrize("name", CYCLES)
def test_no_cycle_leaks(name):
    watched = [weakref.ref(thing) for thing in CYCLES[name]()]
    gc.collect()
    assert [reference() for reference in watched] == [None] * len(watched)


@pytest.mark.parametrize("name", CYCLES)
def test_a_cycle_that_is_in_use_stays(name):
    held = CYCLES[name]()
    gc.collect()
    for thing in held:
        if isinstance(thing, Value):
            (thing * 3.0).backward()
            assert thing.grad == 3.0
            assert all(isinstance(operand, Value) for operand in (thing + 1.0).operands)


def test_what_is_computed_from_a_cycle_keeps_it():
    a = Named(2.0)
    a.child = a * 3.0
    root = ts.maximum(a.child, 0.0) + 1.0
    reference = weakref.ref(a)
    del a
    gc.collect()
    assert reference().child.data == 6.0
    root.backward()
    assert reference().grad == 3.0
    del root
    gc.collect()
    assert reference() is None


@pytest.mark.skipif(not ts.accelerated, reason="the collector knows every plain Value")
def test_the_collector_does_not_know_what_is_computed_from_acyclic_values():
    a = Plain(2.0)
    values = [a, *below(a)]
    assert not any(map(gc.is_tracked, values))
    gc.collect()  # or what other tests left behind could be freed between the two counts
    before = len(gc.get_objects())
    values = [a, *below(a), *(Plain(float(i)) for i in range(1000))]
    assert len(gc.get_objects()) < before + 100
    root = weighted_sum(values, values, a)
    del values
    gc.collect()
    root.backward()
    assert a.grad > 0.0


@pytest.mark.parametrize("seed", range(20))
def test_of_random_graphs_exactly_what_is_unreachable_is_freed(seed):
    numbers = random.Random(seed)
    values = [numbers.choice((Value, Named, Slotted, Plain))(float(i)) for i in range(10)]
    expected = [value.data for value in values]
    for i in range(200):
        x, y = (numbers.randrange(len(values)) for _ in range(2))
        if i % 5:
            values.append(ts.minimum(values[x], values[y]) if i % 2 else values[x] * 0.5 + values[y] * 0.5)
            expected.append(min(expected[x], expected[y]) if i % 2 else expected[x] * 0.5 + expected[y] * 0.5)
        elif isinstance(values[x], (Named, Slotted)):
            values[x].held = [values[y], getattr(values[x], "held", None)]
    kept = {i: values[i] for i in numbers.sample(range(len(values)), 20)}
    leaves = {i: weakref.ref(values[i]) for i in range(10) if isinstance(values[i], (Named, Slotted))}
    reachable, todo = set(), list(kept.values())
    while todo:
        thing = todo.pop()
        if id(thing) not in reachable:
            reachable.add(id(thing))
            todo += thing if isinstance(thing, list) else []
            todo += [*thing.operands, getattr(thing, "held", None)] if isinstance(thing, Value) else []
    alive = {i for i in leaves if id(values[i]) in reachable}
    del thing, todo, values
    gc.collect()
    assert {i for i, reference in leaves.items() if reference() is not None} == alive
    for i, value in kept.items():
        assert value.data == expected[i]
        value.backward()
        assert pickle.loads(pickle.dumps(value)).data == expected[i]


def test_a_finalizer_that_looks_at_everything_finds_only_whole_values():
    gc.collect()
    others = {id(thing): thing for thing in gc.get_objects() if isinstance(thing, Value)}  # perhaps stale
    found = []

    class Watching(Value):
        def __del__(self):
            for thing in gc.get_objects():
                if isinstance(thing, Value) and id(thing) not in others:
                    (thing * 1.0).backward()
                    found.append(thing.data)

    a, b = Watching(1.0), Watching(2.0)
    node = a
    for _ in range(100):
        node = ts.maximum(node * b, 0.5) + 1.0
    del a, node
    b.child = b * 2.0
    del b
    gc.collect()
    assert found
