"""How a formula that is wider than the screen is broken into lines."""

import pytest
from hypothesis import given, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.inspection.layout import WIDTH, broken

ATOMS = st.sampled_from(["x", "w⁽¹⁾₀₂", "1.331", "v₁₂", "tanh(1.1·u)", "∂C/∂z⁽¹⁾₀", "max(a, b)"])
FORMULAS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds(" + ".join, st.lists(inner, min_size=2, max_size=5)),
        st.builds("·".join, st.lists(st.builds("({})".format, inner), min_size=2, max_size=5)),
        st.builds(" · ".join, st.lists(st.builds("[{} > 0]".format, inner), min_size=2, max_size=5)),
        st.builds("(1 − tanh²({}))".format, inner),
        st.builds("|{} − y|".format, st.builds("({})".format, inner)),
    ),
    max_leaves=40,
)


def depths(text):
    """The number of brackets that are open before each sign; bars of these formulas open before a bracket."""
    found, depth = [], 0
    for i, sign in enumerate(text):
        closes = sign in ")]⁾" or (sign == "|" and text[i + 1 : i + 2] != "(")
        depth -= closes
        found.append(depth + closes)
        depth += sign in "([⁽" or (sign == "|" and not closes)
    return found


@given(FORMULAS)
def test_a_line_breaks_at_the_smallest_bracket_depth_there_is(formula):
    lead = "∂C/∂w = "
    first, *others = broken(lead, formula)
    lines = [line.replace(" ", "") for line in (first[len(lead) :], *others)]
    signs = "".join(lines)
    assert signs == formula.replace(" ", "")
    assert all(len(line) <= WIDTH for line in (first, *others))
    depth, start = depths(signs), 0
    for line in lines[:-1]:
        end = start + len(line)
        places = [i for i in range(start + 1, end) if signs[i] in "+−·" or signs[i - 1] == ","]
        assert depth[end] <= min((depth[i] for i in places), default=depth[end])
        start = end


@pytest.mark.parametrize("n", [3, 4])
def test_the_lines_of_explain_break_outside_brackets(n):
    u = t = Value(0.5, "u")
    for _ in range(n):
        t = ts.tanh(t * 1.1)
    for line in str(ts.explain(t, u, names={"t": t})).splitlines():
        assert depths(f"{line} ")[-1] == 0, line
