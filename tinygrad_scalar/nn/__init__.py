"""Networks, losses, optimizers, training, saving."""
