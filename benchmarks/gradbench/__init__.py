"""The twelve problems of GradBench, written as one writes them in plain Values, beside PyTorch and JAX.

The mathematics and the sizes are those of https://github.com/gradbench/gradbench, which has them from ADBench
(https://arxiv.org/abs/1807.10129), from cmpad (https://github.com/bradbell/cmpad) and from Pearlmutter and Siskind
(https://doi.org/10.1007/978-3-540-68942-3_8). A file for each problem:

SIZES       the sizes that are timed, and TRIAL one for a quick test
inputs      random inputs of a size, always the same
vectorized  a step with `vectorize`, and a function that makes the graph of one example, to count its operations
torch, jax  the same step as their users write it, over arrays, in float64
oracle      what a step must return, from a closed form or from complex steps in NumPy

A step takes nothing and returns the value and the derivatives.
"""

PROBLEMS = ("hello", "det", "gmm", "ba", "ht", "lstm", "kmeans", "lse", "llsq", "ode", "saddle", "particle")
