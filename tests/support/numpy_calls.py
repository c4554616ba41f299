"""Calls of NumPy to be made with floats and with Values, and what to write instead of those that Values cannot take.

x, y, p, c are vectors and A, B matrices of Values, v and w single Values; F and f are floats, i is integers. The
numbers of p are positive, those of c above 1. The ufuncs are not listed here: numpy_table.py finds all that NumPy has.
"""

import numpy as np

INPUTS = {
    "x": np.array([0.3, -0.7, 0.55]),
    "y": np.array([0.9, 0.2, -0.4]),
    "p": np.array([0.35, 0.7, 0.6]),
    "c": np.array([1.3, 2.5, 1.75]),
    "A": np.array([[2.0, 0.3, 0.1], [0.2, 1.5, -0.3], [0.4, -0.1, 1.8]]),
    "B": np.array([[0.5, 0.35, 0.15], [0.25, -0.5, -0.25], [0.45, -0.6, 0.8]]),
    "v": 0.35,
    "w": 0.8,
}
FLOATS = {"F": np.array([0.25, 0.5, 0.75]), "f": 0.5, "i": np.array([1, 2, 0])}

# Operands of a ufunc that do not fit into the pattern: (arrays, single Values).
OPERANDS = {
    "arccosh": ("c", "w + 1"),
    "log": ("p", "v"), "log2": ("p", "v"), "log10": ("p", "v"), "sqrt": ("p", "v"),
    "power": ("p, y", "v, w"), "float_power": ("p, y", "v, w"),
    "matmul": ("A, B", ""), "matvec": ("A, x", ""), "vecmat": ("x, A", ""), "vecdot": ("x, y", ""),
    "ldexp": ("x, i", "v, 2"),
}  # fmt: skip

CALLS = {
    "Sums and products": """
        np.sum(x); x.sum(); np.sum(A, axis=0); np.sum(A, where=A > 0); np.prod(x); np.prod(A, axis=1); np.cumsum(x)
        np.cumsum(A, axis=1); np.cumprod(x); np.cumulative_sum(x); np.cumulative_prod(x); np.diff(x); np.ediff1d(x)
        np.trapezoid(x); np.trapezoid(x, p); np.sum(A, where=A > 0, initial=0.0); np.nansum(x); np.nanprod(x)
        np.nancumsum(x); sum(x); np.gradient(x); np.sum(x, dtype=float)""",
    "Statistics": """
        np.mean(x); np.mean(A, axis=0); x.mean(); np.average(x); np.average(x, weights=p); np.std(x); np.std(A, axis=1)
        np.std(x, ddof=1); x.std(); np.var(x); np.var(A, axis=0); x.var(); np.median(x); np.median(A, axis=0)
        np.percentile(x, 30); np.quantile(x, 0.3); np.nanmean(x); np.nanstd(x); np.nanvar(x); np.nanmedian(x)
        np.cov(A); np.cov(A, aweights=F); np.cov(A, fweights=[1, 1, 1]); np.corrcoef(A)
        np.histogram(x); np.bincount([0, 1, 1], weights=x); np.digitize(x, [0.0, 0.5])""",
    "Order": """
        np.max(x); np.min(x); np.max(A, axis=0); x.max(); x.min(); np.ptp(x); np.nanmax(x); np.nanmin(x); max(x)
        np.maximum.reduce(A); np.minimum.reduce(x); np.maximum.accumulate(x); np.clip(x, -0.5, 0.5); x.clip(-0.5, 0.5)
        np.clip(x, y, p); np.clip(v, 0.0, 0.2); np.sort(x); np.sort(A, axis=0); np.partition(x, 1); np.unique(x)
        np.argsort(x); np.argmax(x); np.argmin(x); np.argpartition(x, 1); np.searchsorted(F, v); np.lexsort((x,))""",
    "Choice": """
        np.where(x > 0, x, y); np.where(x > 0, x, 0.0); np.where(x, x, y); np.select([x > 0, x < 0], [x, y])
        np.piecewise(x, [x > 0, x <= 0], [lambda t: t * 2, lambda t: t * t]); np.choose([0, 1, 0], [x, y])
        np.extract(x > 0, x); np.compress([True, False, True], x); np.take(x, [0, 2]); np.nonzero(x)
        np.count_nonzero(x); np.any(x); np.all(x); np.isin(x, y)""",
    "Products of vectors and matrices": """
        np.dot(x, y); np.dot(A, x); np.dot(A, B); x @ y; A @ x; x @ A; A @ B; np.vdot(x, y); np.inner(x, y)
        np.outer(x, y); np.tensordot(A, B); np.tensordot(A, B, axes=1); np.einsum('i,i', x, y); np.kron(x, y)
        np.einsum('ij,jk->ik', A, B); np.einsum('ij,jk->ik', A, B, optimize=True); np.einsum('ii', A)
        np.cross(x, y); np.trace(A); A.trace(); np.vander(x); np.convolve(x, y); np.correlate(x, y)
        np.convolve(x, y, 'same'); np.linalg.multi_dot([A, B, x]); np.linalg.matrix_power(A, 3); np.linalg.outer(x, y)
        np.linalg.matmul(A, B); np.linalg.vecdot(x, y); np.linalg.cross(x, y); np.linalg.tensordot(A, B)
        np.linalg.trace(A); np.linalg.diagonal(A); np.linalg.matrix_transpose(A)""",
    "Norms": """
        np.linalg.norm(x); np.linalg.norm(A); np.linalg.norm(A, axis=1); np.linalg.norm(A, axis=(0, 1))
        np.linalg.norm(A, 'fro'); np.linalg.norm(A, 1); np.linalg.norm(A, np.inf); np.linalg.norm(x, 1)
        np.linalg.norm(x, np.inf); np.linalg.norm(x, -np.inf); np.linalg.norm(x, 0); np.linalg.norm(A, 3, axis=1)
        np.linalg.norm(x, 3); np.linalg.vector_norm(x); np.linalg.vector_norm(A, axis=0); np.linalg.matrix_norm(A)
        np.linalg.norm(A, 2); np.linalg.norm(A, 'nuc')""",
    "Linear algebra": """
        np.linalg.solve(A, x); np.linalg.inv(A); np.linalg.det(A); np.linalg.slogdet(A); np.linalg.cholesky(A)
        np.linalg.eig(A); np.linalg.eigh(A); np.linalg.eigvals(A); np.linalg.eigvalsh(A); np.linalg.svd(A)
        np.linalg.svdvals(A); np.linalg.qr(A); np.linalg.lstsq(A, x); np.linalg.pinv(A); np.linalg.cond(A)
        np.linalg.matrix_rank(A); np.linalg.matrix_power(A, -1); np.linalg.tensorinv(A, 1)
        np.linalg.tensorsolve(A, x)""",
    "Polynomials, series and interpolation": """
        np.polyval(x, v); np.polyval(x, 2.0); np.poly1d(x)(2.0); np.polyadd(x, y); np.polymul(x, y); np.polyder(x)
        np.polyint(x); np.poly(x); np.polyfit(F, x, 1); np.polydiv(x, y); np.roots(x); np.interp(x, F, F)
        np.interp(F, F, x); np.fft.fft(x); np.unwrap(x); np.sinc(x); np.i0(x); np.angle(x)""",
    "Numbers": """
        np.real(x); np.imag(x); np.round(x); x.round(); np.fix(x); np.nan_to_num(x); np.isclose(x, y)
        np.allclose(x, y); np.array_equal(x, x); np.isposinf(x); np.isreal(x); np.iscomplexobj(x); abs(x); -x; +x
        x**2; x**-1; p**y; 2.0**x; x + f; f - x; F * x; x / F; F * v; v / F; np.float64(0.5) * v; x % y; x // y
        divmod(x, y); float(v); np.float64(v); x.astype(float); np.array([v, w], dtype=float); np.sin([v, w])""",
    "Shapes": """
        np.array([v, w]); np.concatenate([x, y]); np.stack([x, y]); np.block([A, B]); np.append(x, v)
        np.insert(x, 1, v); np.delete(x, 1); np.tile(x, 2); np.repeat(x, 2); np.roll(x, 1); np.flip(x); np.rot90(A)
        np.reshape(A, 9); A.T; np.diag(x); np.tril(A); np.pad(x, 1); np.broadcast_to(x, (2, 3)); np.meshgrid(x, y)
        np.full(3, v); np.linspace(v, w, 3); np.geomspace(v, w, 3); np.arange(v, w, 0.1); x.copy(); x.tolist()
        np.apply_along_axis(np.sum, 0, A); np.vectorize(lambda t: t * t)(x)""",
}  # fmt: skip


def calls():
    """The calls by section."""
    return {
        section: [call.strip() for line in text.strip().splitlines() for call in line.split("; ")]
        for section, text in CALLS.items()
    }


# Where Values are refused or give something else: an expression that gives what floats give, with its gradient.
INSTEAD = {
    # ufuncs
    "np.isnan(x)": "[math.isnan(t.data) for t in x]",
    "np.isinf(x)": "[math.isinf(t.data) for t in x]",
    "np.isfinite(x)": "[math.isfinite(t.data) for t in x]",
    "np.signbit(x)": "x < 0",
    "np.spacing(x)": "np.spacing([t.data for t in x])",
    "np.copysign(x, y)": "np.where(y < 0, -abs(x), abs(x))",
    "np.heaviside(x, y)": "np.select([x > 0, x < 0], [1.0, 0.0], y)",
    "np.float_power(p, y)": "p**y",
    "np.ldexp(x, i)": "x * 2.0**i",
    "np.logaddexp(x, y)": "np.vectorize(ts.logaddexp)(x, y)",
    "np.logaddexp2(x, y)": "np.log2(2.0**x + 2.0**y)",
    "np.floor_divide(x, y)": "np.floor(x / y)",
    "np.remainder(x, y)": "x - y*np.floor(x / y)",
    "np.divmod(x, y)": "(np.floor(x / y), x - y*np.floor(x / y))",
    "np.fmod(x, y)": "x - y*np.sign(x / y)*np.floor(abs(x / y))",
    "np.rint(x)": "np.floor(x + 0.5)",
    "np.trunc(x)": "np.sign(x)*np.floor(abs(x))",
    "np.modf(x)": "(x - np.sign(x)*np.floor(abs(x)), np.sign(x)*np.floor(abs(x)))",
    "np.logical_and(x, y)": "np.logical_and(x, y).astype(bool)",
    "np.logical_or(x, y)": "np.logical_or(x, y).astype(bool)",
    "np.logical_xor(x, y)": "x.astype(bool) ^ y.astype(bool)",
    "np.hypot(F, y)": "np.hypot(y, F)",
    "np.arctan2(F, y)": "np.vectorize(ts.atan2)(F, y)",
    # functions
    "np.sum(A, where=A > 0)": "np.sum(A, where=A > 0, initial=0.0)",
    "np.sum(x, dtype=float)": "np.sum(x)",
    "np.gradient(x)": "np.concatenate([x[1:2] - x[:1], (x[2:] - x[:-2])/2, x[-1:] - x[-2:-1]])",
    "np.cov(A)": "np.cov(A, aweights=np.ones(3))",
    "np.corrcoef(A)": "(C := np.cov(A, aweights=np.ones(3)))/np.sqrt(np.outer(np.diag(C), np.diag(C)))",
    "np.histogram(x)": "np.histogram([t.data for t in x])",
    "np.bincount([0, 1, 1], weights=x)": "[x[np.equal([0, 1, 1], i)].sum() for i in range(2)]",
    "np.linalg.norm(x, 3)": "np.sum(abs(x)**3)**(1/3)",
    "np.interp(x, F, F)": "np.where(x < 0.25, 0.25, np.where(x > 0.75, 0.75, x))",
    "np.angle(x)": "np.where(x < 0, np.pi, 0.0)",
    "np.round(x)": "np.floor(x + 0.5)",
    "x.round()": "np.floor(x + 0.5)",
    "np.fix(x)": "np.sign(x)*np.floor(abs(x))",
    "np.isclose(x, y)": "abs(x - y) <= 1e-8 + 1e-5*abs(y)",
    "np.allclose(x, y)": "np.all(abs(x - y) <= 1e-8 + 1e-5*abs(y))",
    "np.isposinf(x)": "[t.data == math.inf for t in x]",
    "x % y": "x - y*np.floor(x / y)",
    "x // y": "np.floor(x / y)",
    "divmod(x, y)": "(np.floor(x / y), x - y*np.floor(x / y))",
    "float(v)": "v",
    "np.float64(v)": "v",
    "x.astype(float)": "x",
    "np.array([v, w], dtype=float)": "np.array([v, w])",
    "np.arange(v, w, 0.1)": "v + 0.1*np.arange(5)",
}

_LINALG = "NumPy computes it with floats alone: write the algorithm out with Values, such as elimination"
# Where there is no such expression.
REMARKS = {
    "np.frexp(x)": "the parts of a float have no derivative: take those of `x.data`",
    "np.nextafter(x, y)": "the neighbours of a float have no derivative: take those of `x.data`",
    "np.interp(F, F, x)": "write the pieces with `np.where`",
    "np.polyfit(F, x, 1)": _LINALG,
    "np.polydiv(x, y)": "write the division out with Values",
    "np.roots(x)": "roots can be complex, Values are real",
    "np.fft.fft(x)": "its numbers are complex, Values are real: `np.cos` and `np.sin` of the angles times x",
    "np.unwrap(x)": "subtract multiples of 2π chosen by `x.data`",
    "np.i0(x)": "write its series with Values",
    "np.linalg": _LINALG,
}
