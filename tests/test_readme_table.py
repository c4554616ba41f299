"""What README.md says about other libraries is true of those that are installed."""

import importlib
import random
import re
from pathlib import Path

import pytest

import tinygrad_scalar as ts

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
HEAD, _, *ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in README.split("## Beside other libraries")[1].split("\n## ")[0].strip().splitlines()
]
TABLE = {row[0]: dict(zip(HEAD[1:], row[1:])) for row in ROWS}
WORDS = ("if", "while")  # Python's


def names(library):
    """The names in the column of a library, in the order of the rows."""
    cells = " ".join(row[library] for row in TABLE.values())
    return [name for name in re.findall(r"`([A-Za-z_][\w.]*)(?:\([^`]*\))?`", cells) if name not in WORDS]


def test_the_table_is_whole():
    assert HEAD[1:] == ["tinygrad_scalar", "micrograd", "HIPS autograd", "JAX", "PyTorch"]
    assert len(TABLE) >= 12
    assert all(len(row) == len(HEAD) and all(row) for row in ROWS)


def test_our_column_names_what_there_is():
    assert len(names("tinygrad_scalar")) > 10
    assert [n for n in names("tinygrad_scalar") if not (hasattr(ts, n) or hasattr(ts.Value, n))] == []


@pytest.mark.peers
@pytest.mark.parametrize(
    ("library", "modules"),
    [
        ("JAX", ["jax", "jax.lax", "jax.test_util", "jax.config"]),
        ("PyTorch", ["torch", "torch.func", "torch.autograd", "torch.Tensor"]),
        ("HIPS autograd", ["autograd", "autograd.extend", "autograd.test_util"]),
    ],
)
def test_the_other_columns_name_what_there_is(library, modules):
    top = pytest.importorskip(modules[0])
    places = [top]
    for module in modules[1:]:
        name = module.rpartition(".")[2]
        places.append(getattr(top, name) if hasattr(top, name) else importlib.import_module(module))
    missing = [n for n in names(library) if not any(hasattr(p, n.rpartition(".")[2]) for p in places)]
    assert missing == []


def test_a_leaf_set_before_backward_is_an_error_here_and_mixes_numbers_in_micrograd():
    engine = pytest.importorskip("micrograd.engine")
    x, y = ts.Value(2.0), ts.Value(3.0)
    product = x * y
    x.data = 5.0
    with pytest.raises(ts.StaleGraphError):
        product.backward()
    x, y = engine.Value(2.0), engine.Value(3.0)
    product = x * y
    x.data = 5.0
    product.backward()
    assert (product.data, y.grad) == (6.0, 5.0)  # that of x = 2, this of x = 5


@pytest.mark.peers
def test_a_leaf_set_before_backward_is_an_error_in_pytorch_but_not_by_data():
    torch = pytest.importorskip("torch")
    x = torch.tensor(2.0, requires_grad=True)
    product = x * x
    x.data = torch.tensor(5.0)
    product.backward()
    assert (product.item(), x.grad.item()) == (4.0, 10.0)
    x = torch.tensor(2.0, requires_grad=True)
    product = x * x
    with torch.no_grad():
        x.mul_(2.0)
    with pytest.raises(RuntimeError, match="inplace"):
        product.backward()


def test_the_network_that_a_port_from_micrograd_needs():
    nn = pytest.importorskip("micrograd.nn")
    (text,) = re.findall(r"`ts\.(MLP\([^`]+\))` is micrograd's", README)
    net = eval(text, {"MLP": ts.MLP})
    random.seed(0)
    theirs = nn.MLP(2, [16, 16, 1])
    for layer, other in zip(net.layers, theirs.layers):
        for neuron, model in zip(layer.neurons, other.neurons):
            for p, q in zip([*neuron.w, neuron.b], [*model.w, model.b]):
                p.data = q.data
    for x in ([0.5, -1.0], [2.0, 1.0], [-0.3, -0.2]):
        assert net(x).data == pytest.approx(theirs(x).data, rel=1e-12)
    default = ts.MLP(2, [3, 1])
    assert [neuron.activation for layer in default.layers for neuron in layer.neurons] == ["sigmoid"] * 4
