"""Functions in which a side of ts.cond changes something outside of it: READ if that is read later, UNREAD if not."""

import numpy as np

import tinygrad_scalar as ts

w = ts.Value(1.5, "w")
NET = ts.MLP(1, [2, 1], "tanh", seed=0)
RARE = np.array([*range(1, 40)] * 3, float)  # no example of the check takes the side below 0
READ, UNREAD = {}, {}
shared = {"table": {}, "numbers": np.zeros(3)}


class Layer:
    out = None

    def __init__(self, factor):
        self.factor = factor
        self.seen = []

    def __call__(self, x):
        self.out = ts.tanh(self.factor * x)  # as in many a tutorial
        self.seen.append(x)
        return self.out


class Slotted:
    __slots__ = ("last",)


def read(function):
    READ[function.__name__] = function
    return function


def unread(function):
    UNREAD[function.__name__] = function
    return function


@read
def an_appended_value(x):
    found = [x]
    ts.cond(ts.less(x, 0), lambda: found.append(w) or x, 0.0)
    return w * found[-1]


@read
def a_nonlocal_variable(x):
    factor = 1.0

    def rare():
        nonlocal factor
        factor = 2.0
        return x

    return ts.cond(ts.less(x, 0), rare, lambda: w * x) * factor


@read
def a_variable_that_gets_its_first_value(x):
    def rare():
        nonlocal late
        late = w * 3.0
        return x

    y = ts.cond(ts.less(x, 0), rare, lambda: w * x)
    try:
        y = y + late
    except NameError:
        late = 0.0
    return y


@read
def an_attribute(x):
    layer = Layer(w)
    return ts.cond(ts.less(x, 0), lambda: layer(x), lambda: w * x) + (0.0 if layer.out is None else layer.out)


@read
def a_list_in_an_attribute(x):
    layer = Layer(w)
    return ts.cond(ts.less(x, 0), lambda: layer(x), lambda: w * x) + len(layer.seen)


@read
def a_slot(x):
    thing = Slotted()
    thing.last = x
    return ts.cond(ts.less(x, 0), lambda: setattr_last(thing, w), lambda: w * x) * thing.last


@read
def an_append_by_a_later_side_of_a_loop(x):
    found = [x]
    for k in range(4):
        ts.cond(ts.less(x, 0), lambda k=k: (found.append(w) if k == 3 else None) or x, 0.0)
    return w * found[-1]


@read
def a_list_of_its_own_for_each_side(x):
    s = x
    for _ in range(3):
        s = changes_its_list(s, [s, w])
    return s


def changes_its_list(s, pair):
    return ts.cond(ts.less(s, 0), lambda: pair.pop() * s, lambda: s + 1.0) * pair[-1]


@read
def a_variable_of_its_own_for_each_side(x):
    s = x
    for _ in range(3):
        s = changes_its_variable(s)
    return s


def changes_its_variable(s):
    factor = s

    def rare():
        nonlocal factor
        factor = w
        return s

    return ts.cond(ts.less(s, 0), rare, lambda: s + 1.0) * factor


@read
def what_the_loop_has_changed_too(x):
    found, layer = [[x]], Layer(w)
    for k in range(4):
        ts.cond(ts.less(x, 0), lambda k=k: layer(x) if k == 3 else x, 0.0)
        found[0].append(x)
        layer.seen.append(k)
        setattr(layer, f"a{k}", found[-1])
    return w * len(layer.seen) * layer.factor


@read
def a_variable_that_is_deleted(x):
    factor = w

    def rare():
        nonlocal factor
        del factor
        return x

    y = ts.cond(ts.less(x, 0), rare, lambda: w * x)
    try:
        return y * factor
    except NameError:
        return y


@read
def a_default_of_its_own(x):
    def rare(s=x):
        rare.__defaults__ = (w,)
        return s

    return ts.cond(ts.less(x, 0), rare, 0.0) + ts.cond(ts.less(x, 100), rare, 0.0)


@read
def an_attribute_that_the_side_makes(x):
    thing = Thing()
    ts.cond(ts.less(x, 0), lambda: setattr_last(thing, w), 0.0)
    return w * thing.last if hasattr(thing, "last") else w * x


@read
def an_attribute_of_a_function_that_the_side_makes(x):
    def rare():
        rare.last = w
        return x

    for _ in range(2):
        ts.cond(ts.less(x, 0), rare, 0.0)
    return w * getattr(rare, "last", x)


@read
def an_attribute_that_takes_the_place_of_another(x):
    thing = Thing()
    thing.first = x
    for k in range(3):
        if k == 1:
            del thing.first
            thing.last = x
        ts.cond(ts.less(x, 0), lambda k=k: setattr_last(thing, w) if k == 2 else x, 0.0)
    return w * thing.last


@read
def an_attribute_by_an_object_that_has_got_another_class(x):
    thing = Thing()
    thing.last = x
    for k in range(3):
        thing.__class__ = Thing if k < 2 else Other
        ts.cond(ts.less(x, 0), lambda: thing.step(x), 0.0)
    return w * thing.last


@read
def a_global_variable_of_the_same_code_elsewhere(x):
    code = compile("def side():\n    global last\n    last = w\n    return x", "<side>", "exec")
    modules = [{"x": x, "w": w, "last": x} for _ in range(2)]
    for module in modules:
        exec(code, module)
        ts.cond(ts.less(x, 0), module["side"], 0.0)
    return w * modules[1]["last"]


@read
def a_number_in_a_list_in_a_list(x):
    rows = [[0.0], [1.0]]

    def rare():
        rows[1][0] = 5.0
        return x

    return w * ts.cond(ts.less(x, 0), rare, 0.0) + rows[1][0]


@read
def a_number_from_one_list_to_the_next(x):
    rows = [[0.0], [1.0]]
    ts.cond(ts.less(x, 0), lambda: rows[0].append(rows[1].pop()) or x, 0.0)
    return w * x * len(rows[0])


@read
def an_attribute_of_a_class(x):
    Thing.shared = x
    for k in range(3):
        ts.cond(ts.less(x, 0), lambda k=k: setattr_shared(w) if k == 2 else x, 0.0)
    return w * Thing.shared


@read
def an_attribute_that_a_derived_class_gets(x):
    Thing.shared = x
    if "shared" in vars(Other):
        del Other.shared
    ts.cond(ts.less(x, 0), lambda: setattr_other(w), 0.0)
    return w * Other.shared


@read
def a_list_that_is_reversed_twice(x):
    pair = [x, w]
    for _ in range(4):
        ts.cond(ts.less(x, 0), lambda: pair.reverse() or x, 0.0)
    return w * pair[0]


@read
def a_variable_that_is_set_twice(x):
    factor = 1.0

    def becomes(number):
        nonlocal factor
        factor = number
        return x

    y = ts.cond(ts.less(x, 0), lambda: becomes(2.0), 0.0) + ts.cond(ts.less(-5, x), lambda: becomes(1.0), 0.0)
    return w * y * factor


class Weight(ts.Value):
    pass


@read
def an_attribute_of_a_value(x):
    weight = Weight(2.0)
    weight.last = x
    for k in range(3):
        ts.cond(ts.less(x, 0), lambda k=k: setattr_last(weight, w if k == 2 else x), 0.0)
    return weight * weight.last


def setattr_shared(value):
    Thing.shared = value
    return value


def setattr_other(value):
    Other.shared = value
    return value


class Thing:
    shared = None

    def step(self, x):
        return x


class Other(Thing):
    def step(self, x):
        self.last = w
        return x


def setattr_last(thing, value):
    thing.last = value
    return value


@read
def an_entry_of_a_global_dict(x):
    shared["table"].clear()
    ts.cond(ts.less(x, 0), lambda: shared["table"].setdefault("a", w), 0.0)
    return w * x + sum(shared["table"].values())


@read
def a_global_variable(x):
    global last
    last = x

    def rare():
        global last
        last = w
        return x

    return ts.cond(ts.less(x, 0), rare, lambda: w * x) * last


@read
def an_element_of_an_array(x):
    numbers = np.zeros(2)

    def rare():
        numbers[1] = 5.0
        return x

    return ts.cond(ts.less(x, 0), rare, lambda: w * x) + numbers[1]


@read
def a_side_within_a_side(x):
    found = []
    inner = lambda: ts.cond(ts.less(x, -5), lambda: found.append(x) or x, lambda: w * x)  # noqa: E731
    return ts.cond(ts.less(x, 0), lambda: inner() + len(found), lambda: w * x)


@read
def a_state_that_a_later_step_reads(x):
    state = [0.0]

    def step(t):
        state[0] = state[0] + t
        return w * state[0]

    return sum(ts.cond(ts.less(x, k), lambda k=k: step(x * k), 0.0) for k in range(3))


@unread
def activations_that_are_kept(x):
    layer, other = Layer(w), Layer(2.0)
    return ts.cond(ts.less(x, 0), lambda: layer(x), lambda: other(x))


@unread
def a_log(x):
    shared.setdefault("log", []).append("called")
    return ts.cond(ts.less(x, 0), lambda: shared["log"].append("rare") or x, lambda: w * x)


@unread
def a_network_of_the_librarys(x):
    return ts.cond(ts.less(x, 0), lambda: NET([x]), lambda: w * x)


@unread
def a_memory_filled_at_first(x):
    def rare():
        if "weight" not in shared["table"]:
            shared["table"]["weight"] = w
        return shared["table"]["weight"] * x

    return ts.cond(ts.less(x, 0), rare, lambda: w * x)


@unread
def a_local_list(x):
    def rare():
        found = []
        for k in range(3):
            found.append(w * k)
        return sum(found) * x

    return ts.cond(ts.less(x, 0), rare, lambda: w * x)
