"""The functions of Values as other libraries have them, for the steps of programs.py; derivatives by differences."""

import math
from types import SimpleNamespace

import mpmath


def with_everyday_functions(f, erf):
    """The library f with the functions that follow from its others, where the steps of programs.py need them."""
    f.log2 = lambda x: f.log(x) / f.log(2.0)
    f.log10 = lambda x: f.log(x) / f.log(10.0)
    f.exp2 = lambda x: f.exp(x * f.log(2.0))
    f.cbrt = lambda x: f.exp(f.log(x) / 3)  # x > 0
    f.atan2 = lambda y, x: f.atan(y / x)  # x > 0
    f.hypot = lambda x, y: f.norm([x, y])
    f.xlogy = lambda x, y: x * f.log(y)
    f.gelu = lambda x: x * (1 + erf(x / f.sqrt(2.0))) / 2
    f.silu = lambda x: x * f.sigmoid(x)
    f.mish = lambda x: x * f.tanh(f.softplus(x))
    f.softsign = lambda x: x / (1 + f.abs(x))
    f.elu = lambda x: f.where(x > 0, x, f.expm1(x))
    f.selu = lambda x: 1.0507009873554805 * f.where(x > 0, x, 1.6732632423543772 * f.expm1(x))
    f.hardtanh = lambda x: f.maximum(f.minimum(x, 1.0), -1.0)
    f.mean = lambda xs: sum(xs) / len(xs)
    f.dot = lambda xs, ys: sum(x * y for x, y in zip(xs, ys))
    f.norm = lambda xs: f.sqrt(f.dot(xs, xs))
    f.logsumexp = lambda xs: f.log(sum(map(f.exp, xs)))
    f.softmax = lambda xs: [f.exp(x) / sum(map(f.exp, xs)) for x in xs]
    return f


def autograd_functions():
    """HIPS autograd's."""
    import autograd.numpy as anp
    from autograd.extend import defvjp, primitive

    erf = primitive(math.erf)  # autograd's own imports SciPy, which leaks as the sanitizers count
    defvjp(erf, lambda _, x: lambda g: g * 2.0 / math.sqrt(math.pi) * anp.exp(-x * x))

    library = SimpleNamespace(
        abs=anp.abs, exp=anp.exp, expm1=anp.expm1, log=anp.log, log1p=anp.log1p, sqrt=anp.sqrt,
        sin=anp.sin, cos=anp.cos, tan=anp.tan, asin=anp.arcsin, acos=anp.arccos, atan=anp.arctan,
        sinh=anp.sinh, cosh=anp.cosh, tanh=anp.tanh, asinh=anp.arcsinh, acosh=anp.arccosh, atanh=anp.arctanh,
        maximum=anp.maximum, minimum=anp.minimum, logaddexp=anp.logaddexp, where=anp.where,
        sigmoid=lambda x: 1.0 / (1.0 + anp.exp(-x)),
        softplus=lambda x: anp.logaddexp(0.0, x),
        relu=lambda x: anp.maximum(x, 0.0),
        leaky_relu=lambda x, slope: anp.where(x > 0, x, slope * x),
    )  # fmt: skip
    return with_everyday_functions(library, erf)


def jax_functions():
    """JAX's."""
    from jax import nn, numpy as jnp, scipy

    return SimpleNamespace(
        abs=jnp.abs, exp=jnp.exp, expm1=jnp.expm1, log=jnp.log, log1p=jnp.log1p, sqrt=jnp.sqrt,
        sin=jnp.sin, cos=jnp.cos, tan=jnp.tan, asin=jnp.arcsin, acos=jnp.arccos, atan=jnp.arctan,
        sinh=jnp.sinh, cosh=jnp.cosh, tanh=jnp.tanh, asinh=jnp.arcsinh, acosh=jnp.arccosh, atanh=jnp.arctanh,
        maximum=jnp.maximum, minimum=jnp.minimum, logaddexp=jnp.logaddexp, log2=jnp.log2, log10=jnp.log10,
        exp2=jnp.exp2, cbrt=jnp.cbrt, atan2=jnp.arctan2, hypot=jnp.hypot, xlogy=scipy.special.xlogy,
        sigmoid=nn.sigmoid, softplus=nn.softplus, relu=nn.relu, leaky_relu=nn.leaky_relu, silu=nn.silu, mish=nn.mish,
        softsign=nn.soft_sign, elu=nn.elu, selu=nn.selu, hardtanh=nn.hard_tanh,
        gelu=lambda x: nn.gelu(x, approximate=False),
        where=lambda c, x, y: jnp.where(c != 0.0, x, y),
        mean=lambda xs: jnp.mean(jnp.array(xs)),
        dot=lambda xs, ys: jnp.dot(jnp.array(xs), jnp.array(ys)),
        norm=lambda xs: jnp.linalg.norm(jnp.array(xs)),
        logsumexp=lambda xs: nn.logsumexp(jnp.array(xs)),
        softmax=lambda xs: nn.softmax(jnp.array(xs)),
    )  # fmt: skip


MPMATH = SimpleNamespace(
    abs=mpmath.fabs, exp=mpmath.exp, expm1=lambda x: mpmath.exp(x) - 1, log=mpmath.log,
    log1p=lambda x: mpmath.log(1 + x), sqrt=mpmath.sqrt, sin=mpmath.sin, cos=mpmath.cos, tan=mpmath.tan,
    asin=mpmath.asin, acos=mpmath.acos, atan=mpmath.atan, sinh=mpmath.sinh, cosh=mpmath.cosh, tanh=mpmath.tanh,
    asinh=mpmath.asinh, acosh=mpmath.acosh, atanh=mpmath.atanh, maximum=max, minimum=min,
    logaddexp=lambda x, y: mpmath.log(mpmath.exp(x) + mpmath.exp(y)),
    sigmoid=lambda x: 1 / (1 + mpmath.exp(-x)),
    softplus=lambda x: mpmath.log(1 + mpmath.exp(x)),
    relu=lambda x: max(x, 0),
    leaky_relu=lambda x, slope: x if x > 0 else slope * x,
    where=lambda c, x, y: x if c != 0 else y,
)  # fmt: skip
with_everyday_functions(MPMATH, mpmath.erf)


def by_differences(function, point, direction):
    """Value, gradient and Hessian times `direction` of a function of mpmath numbers, to 20 digits at least.

    No rule of differentiation is needed: in 60 digits, differences over 10⁻¹² lose 24 and are wrong from the 24th on.
    """
    with mpmath.workdps(60):
        h = mpmath.mpf(10) ** -12

        def at(i, sign, along):
            moved = [mpmath.mpf(x) + along * h * mpmath.mpf(v) for x, v in zip(point, direction)]
            if i is not None:
                moved[i] += sign * h
            return function(moved)

        value = at(None, 0, 0)
        gradient, product = [], []
        for i in range(len(point)):
            corners = [[at(i, sign, along) for along in (1, 0, -1)] for sign in (1, -1)]
            gradient.append((corners[0][1] - corners[1][1]) / (2 * h))
            product.append((corners[0][0] - corners[0][2] - corners[1][0] + corners[1][2]) / (4 * h * h))
        return value, gradient, product
