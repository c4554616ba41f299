"""Random programs in which conditions, and all else that only decides, can be replaced by numbers."""

from hypothesis import strategies as st

from tinygrad_scalar import Value
from tinygrad_scalar.engine import ops, record

STEEP = ("sqrt", "log", "**-1", "**0.5", "acosh", "/")
FLAT = ("relu", "maximum", "abs", "neg", "*", "+", "-")
DECIDING = {"greater": (0, 1), "greater_equal": (0, 1), "where": (0,), "**0": (0,)}  # and by which operands
CORNERS = (0.0, 1.0, -1.0, 0.5, 2.0)

points = st.lists(st.sampled_from(CORNERS), min_size=3, max_size=3)
programs = st.lists(
    st.tuples(st.sampled_from((*STEEP, *FLAT, *DECIDING)), st.tuples(*[st.integers(0, 30)] * 3)), min_size=1, max_size=9
)


def run(program, leaves, *, decided=False):
    """The last node of a program; with `decided`, what an operation only decides by is a number, not computed."""
    nodes = list(leaves)
    for name, chosen in program:
        row = ops.operation(name)
        operands = [nodes[-1 - k % len(nodes)] for k in chosen[: row.arity]]
        if decided:
            operands = [Value(o.data) if i in DECIDING.get(name, ()) else o for i, o in enumerate(operands)]
        nodes.append(record(name, *operands))
    return nodes[-1]
