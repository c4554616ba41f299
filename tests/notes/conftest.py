"""The networks on which the notes' equations are evaluated."""

import pytest

# Layer sizes, input first, and the number of examples: 000's and 001's figures, then random ones.
ONE_NODE = {"one node": ([1, 1], 1), "one node per layer": ([1, 1, 1, 1], 3)}
MANY_NODES = {**ONE_NODE, "three to one": ([3, 1], 4), "three to four": ([3, 4], 2)}
RANDOM = range(15)


@pytest.fixture(params=[*ONE_NODE, *RANDOM], ids=str)
def chain(request):
    """A network with one node in each of its 1 to 5 layers, and its examples."""
    from .numpy_network import Network, random_chain

    if request.param in ONE_NODE:
        return Network(*ONE_NODE[request.param])
    return random_chain(request.param)


@pytest.fixture(params=[*MANY_NODES, *RANDOM], ids=str)
def network(request):
    """A network with 1 to 7 nodes in each of its 1 to 5 layers, and its examples."""
    from .numpy_network import Network, random_network

    if request.param in MANY_NODES:
        return Network(*MANY_NODES[request.param])
    return random_network(request.param)
