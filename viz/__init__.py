"""Pictures of graphs, of networks and of training."""

from tinygrad_scalar.viz.network_figures import network as network
