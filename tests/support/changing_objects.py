"""More functions in which a side of ts.cond changes what is read later: objects that keep what no name tells."""

import random
from collections import OrderedDict
from types import SimpleNamespace

import numpy as np

import tinygrad_scalar as ts
from support.changing_sides import Slotted, read, w


@read
def an_order_of_its_own(x):
    found = OrderedDict(a=w, b=x)
    ts.cond(ts.less(x, 0), lambda: found.move_to_end("a") or x, 0.0)
    return next(iter(found.values())) * 2.0


@read
def an_attribute_without_a_name(x):
    found = SimpleNamespace(last=1.0)
    ts.cond(ts.less(x, 0), lambda: setattr(found, "la" + "st", 2.0) or x, 0.0)
    return w * found.last


@read
def a_slot_without_a_name(x):
    found = Slotted()
    found.last = 1.0
    ts.cond(ts.less(x, 0), lambda: setattr(found, "la" + "st", 2.0) or x, 0.0)
    return w * found.last


@read
def a_draw_from_a_generator_of_its_own(x):
    draws = random.Random(0)
    s = ts.cond(ts.less(x, 0), lambda: draws.random() * x, lambda: x)
    return s + w * draws.random()


@read
def a_draw_from_one_of_numpys(x):
    draws = np.random.default_rng(0)
    s = ts.cond(ts.less(x, 0), lambda: draws.normal() * x, lambda: x)
    return s + w * draws.normal()


@read
def what_is_only_there_if_a_side_ran(x):
    found = {}
    ts.cond(ts.less(x, 0), lambda: found.setdefault("y", x), lambda: found.setdefault("y", w * x))
    return w * found["y"]
