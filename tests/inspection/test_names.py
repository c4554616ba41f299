"""Reading a graph: topological order, leaves, what values are called, and how a name is printed."""

from typing import ClassVar

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import read_graph
from tinygrad_scalar.inspection import names as names_module
from tinygrad_scalar.inspection.names import MOST, SMALL, caller_variables, leaves, names, symbol, topological_order


def _diamond():
    x, y, unused = Value(2.0, "x"), Value(3.0, "y"), Value(4.0, "unused")
    left, right = x * y, x.exp()
    assert unused + left  # above the root: not part of its graph
    return x, y, left, right, ts.where(left, right, x) - left


def test_the_topological_order_has_every_node_once_and_operands_first():
    *nodes, root = _diamond()
    order = topological_order(root)
    assert set(order) == {*nodes, root, root.operands[0]}
    assert len(order) == len(set(order))
    assert order[-1] is root
    position = {node: i for i, node in enumerate(order)}
    assert all(position[operand] < position[node] for node in order for operand in node.operands)


def test_the_topological_order_of_a_leaf_is_the_leaf():
    x = Value(1.0)
    assert topological_order(x) == [x]


def test_the_order_is_the_same_each_time():
    *_, root = _diamond()
    assert topological_order(root) == topological_order(root)


def test_leaves_are_the_nodes_without_operands_once_each():
    x, y, *_, root = _diamond()
    assert leaves(root) == [x, y]
    assert leaves(x) == [x]
    assert [leaf.data for leaf in leaves(2.0 * x + 1.0)] == [2.0, 2.0, 1.0]


# --- names -----------------------------------------------------------------------------------------------------------


def _called(value, **variables):
    return names(value, variables).get(value, "")


def test_a_label_comes_before_a_variable():
    v = Value(1.0, "weight")
    assert _called(v, w=v) == "weight"


def test_a_value_is_called_as_the_variable_that_holds_it():
    v = Value(1.0)
    assert _called(v, other=Value(1.0), w=v) == "w"


def test_a_bare_variable_comes_before_a_place_in_a_container():
    v = Value(1.0)
    assert _called(v, x=[v], w=v) == "w"


@pytest.mark.parametrize(
    ("hold", "name"),
    [
        (lambda v: [0, v], "x[1]"),
        (lambda v: (v,), "x[0]"),
        (lambda v: {"k": v}, "x['k']"),
        (lambda v: {(1, 2): v}, "x[(1, 2)]"),
        (lambda v: [[0.0], {"k": (None, v)}], "x[1]['k'][1]"),
    ],
)
def test_a_value_in_a_container_is_called_by_its_place(hold, name):
    v = Value(1.0)
    assert _called(v, x=hold(v)) == name


def test_the_outermost_place_names_it():
    v = Value(1.0)
    assert _called(v, deep=[[v]], flat=[v]) == "flat[0]"


@pytest.mark.parametrize("variable", ["_", "_1", "__hidden", "In", "Out"])
def test_what_ipython_keeps_names_nothing(variable):
    v = Value(1.0)
    assert _called(v, **{variable: v}) == ""
    assert _called(v, **{variable: [v]}) == ""


def test_a_container_that_contains_itself_is_read_once():
    v = Value(1.0)
    circle = {"v": v}
    circle["self"] = [circle]
    assert _called(v, circle=circle) == "circle['v']"


def test_nameless_values_have_no_entry_and_the_rest_come_in_topological_order():
    a, b = Value(1.0), Value(2.0, "b")
    root = a * b + 1.0
    assert list(names(root, {"root": root, "a": a, "number": 3, "text": "a"}).items()) == [
        (a, "a"), (b, "b"), (root, "root"),
    ]  # fmt: skip


module_variable = Value(1.0)


def test_the_callers_variables_are_its_locals_before_its_globals():
    def library_function():
        return caller_variables()

    w = Value(2.0)
    seen = library_function()
    assert seen["w"] is w
    assert seen["module_variable"] is module_variable
    assert names(w * module_variable, seen)[w] == "w"


def test_a_local_hides_a_global_of_its_name():
    def library_function():
        return caller_variables()["module_variable"]

    module_variable = "local"
    assert library_function() == module_variable


# --- symbols ---------------------------------------------------------------------------------------------------------

# fmt: off
SYMBOLS = [
    # name, its parts, unicode, LaTeX
    ("C",            ("C", "", ()),             "C",          "C"),
    ("z(1)",         ("z", "1", ()),            "z⁽¹⁾",       "z^{(1)}"),
    ("x[0]",         ("x", "", ("0",)),         "x₀",         "x_{0}"),
    ("b(1)[2]",      ("b", "1", ("2",)),        "b⁽¹⁾₂",      "b^{(1)}_{2}"),
    ("w(1)[0,2]",    ("w", "1", ("0", "2")),    "w⁽¹⁾₀₂",     "w^{(1)}_{02}"),
    ("w(10)[3,4]",   ("w", "10", ("3", "4")),   "w⁽¹⁰⁾₃₄",    "w^{(10)}_{34}"),
    ("w(1)[1,12]",   ("w", "1", ("1", "12")),   "w⁽¹⁾₁,₁₂",   "w^{(1)}_{1,12}"),
    ("w(1)[11,2]",   ("w", "1", ("11", "2")),   "w⁽¹⁾₁₁,₂",   "w^{(1)}_{11,2}"),
    ("a(2)[11]",     ("a", "2", ("11",)),       "a⁽²⁾₁₁",     "a^{(2)}_{11}"),
    ("x[0,1,2]",     ("x", "", ("0", "1", "2")), "x₀₁₂",      "x_{012}"),
    ("cost",         ("cost", "", ()),          "cost",       r"\mathrm{cost}"),
    ("my_loss(3)",   ("my_loss", "3", ()),      "my_loss⁽³⁾", r"\mathrm{my\_loss}^{(3)}"),
    ("σ",            ("σ", "", ()),             "σ",          "σ"),
]
# fmt: on


@pytest.mark.parametrize(("name", "parts", "unicode", "latex"), SYMBOLS)
def test_a_name_in_the_notes_form_is_printed_as_the_notes_write_it(name, parts, unicode, latex):
    assert tuple(symbol(name)) == (*parts, "")
    assert symbol(name).unicode == unicode
    assert symbol(name).latex == latex


@pytest.mark.parametrize("name", ["", "my value", "x['k']", "x[0][1]", "w(a)", "w[0,]", "w(1", "w[0](1)", "w(1)[-1]"])
def test_a_name_of_another_form_is_no_symbol(name):
    assert symbol(name) is None


def test_values_in_a_numpy_object_array_are_named_by_their_place():
    W = np.array([[Value(1.0), Value(2.0)]], dtype=object)
    root = W[0, 0] * W[0, 1]
    assert sorted(names(root, {"W": W}).values()) == ["W[0][0]", "W[0][1]"]


class Touchy:
    """An object of a user, none of whose code may run while names are looked for."""

    touched: ClassVar[list[str]] = []

    def __getattribute__(self, name):
        Touchy.touched.append(name)
        raise RuntimeError(f"{name} was looked up")

    def _touch(self, *_):
        Touchy.touched.append("a method")
        raise RuntimeError("a method was called")

    __repr__ = __str__ = __len__ = __iter__ = __eq__ = __bool__ = __getitem__ = _touch
    __hash__ = object.__hash__


class TouchyDict(dict):
    items = keys = values = __iter__ = __len__ = Touchy._touch


class TouchyList(list):
    __iter__ = __len__ = __getitem__ = Touchy._touch


def test_looking_for_names_runs_no_code_of_the_users_objects():
    v, touchy = Value(1.0), Touchy()
    variables = {"a": touchy, "b": [touchy, touchy], "c": {touchy: [1], "k": touchy}, "d": TouchyDict(k=1)}
    Touchy.touched.clear()
    assert _called(v, **variables, __name__=Touchy.__module__, e=TouchyList([v])) == "e[0]"
    assert Touchy.touched == []


def test_a_key_whose_repr_fails_gets_its_class_in_the_name():
    v = Value(1.0)
    assert _called(v, x={Touchy(): v}) == "x[<Touchy>]"


def test_a_key_with_a_long_repr_is_cut():
    v = Value(1.0)
    assert _called(v, x={"ab" * 10**6: v}) == f"x['{'ab' * 19}a…b{'ab' * 9}']"


class Computed:
    @property
    def __dict__(self):
        raise RuntimeError("no attributes now")


def test_an_object_whose_attributes_fail_holds_no_names():
    v = Value(1.0)
    assert _called(v, __name__=Computed.__module__, a=Computed(), x=[v]) == "x[0]"


def test_a_large_container_is_not_looked_into():
    v = Value(1.0)
    assert _called(v, x=[0.0] * (SMALL - 1) + [v]) == f"x[{SMALL - 1}]"
    for large in ([v] * (SMALL + 1), (v,) * (SMALL + 1), dict.fromkeys(range(SMALL), 0) | {"v": v}):
        assert _called(v, x=large) == ""
    assert _called(v, x=np.array([v] * (SMALL + 1), dtype=object)) == ""


def test_the_number_of_items_looked_at_is_bounded_however_many_containers_there_are(monkeypatch):
    looked_at, parts_of = [], names_module._parts

    def counted(item, home):
        parts = parts_of(item, home)
        looked_at.append(len(parts))
        return parts

    monkeypatch.setattr(names_module, "_parts", counted)
    v = Value(1.0)
    row = [0.0] * SMALL
    images = {f"images{i}": [[*row] for _ in range(100)] for i in range(20)}
    assert _called(v, **images, x=[v]) == "x[0]"
    assert sum(looked_at) <= MOST + SMALL
    looked_at.clear()
    assert _called(v, **images, x=[[[[v]]]]) == ""
    assert sum(looked_at) <= MOST + SMALL


@pytest.mark.parametrize("variables", [["w"], {1: Value(1.0)}, {Value(1.0): "w"}])
def test_names_that_are_not_a_mapping_from_names_are_refused(variables):
    with pytest.raises(TypeError, match="names must be a dict such as"):
        names(Value(1.0) * 2, variables)


# --- written down ----------------------------------------------------------------------------------------------------


def test_a_graph_is_written_down_operands_first_and_its_passes_are_left_alone():
    x, y = Value(2.0), Value(3.0)
    z = ts.where(x, x * y + x, y) ** 2
    z.backward()
    tape = read_graph([z], [y, x, z])
    assert tape.names == ["*", "+", "where", "**2"]
    assert tape.found.tolist() == [1, 0, 5]
    assert tape.codes.tolist() == [-1, -1, 0, 1, 2, 3]
    assert tape.operands.tolist() == [0, 1, 2, 0, 0, 3, 1, 4]
    x.grad = y.grad = 0.0
    z.backward()
    assert (x.grad, y.grad) == (2 * 8.0 * 4.0, 2 * 8.0 * 2.0)


def test_lists_of_numbers_are_not_searched_for_long(monkeypatch):
    searched = []
    worth = names_module._is_worth_opening
    monkeypatch.setattr(names_module, "_is_worth_opening", lambda items, home: searched.append(1) or worth(items, home))
    x = Value(1.0)
    variables = {"table": [[[0.5] * 10 for _ in range(100)] for _ in range(900)], "x": x, "many": [0.5] * 100_000}
    assert names_module.names(x * 2.0, variables)[x] == "x"
    assert names_module.names(Value(1.0) * 2.0, variables) == {}
    assert len(searched) < 2 * (900 + names_module.MOST_IN_VAIN / 100)
