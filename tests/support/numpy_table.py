"""docs/numpy.md: what NumPy's ufuncs and functions do with Values, tried out.

    python tests/support/numpy_table.py

in the top folder of a checkout writes it. Each call of numpy_calls.py is made with floats and with Values. The numbers
must be equal, and the gradients those of central differences of what NumPy computes with the floats.
"""

import functools
import math
import re
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

import tinygrad_scalar as ts
from tinygrad_scalar import Value

if __name__ == "__main__":
    from numpy_calls import FLOATS, INPUTS, INSTEAD, OPERANDS, REMARKS, calls
else:
    from .numpy_calls import FLOATS, INPUTS, INSTEAD, OPERANDS, REMARKS, calls

VERSION = ".".join(np.__version__.split(".")[:2])
PAGE = Path(__file__).parents[2] / "docs" / "numpy.md"
METHODS = ("reduce", "accumulate", "reduceat", "outer", "at")
H = 1e-6  # the nudge of a difference


class Outcome(NamedTuple):
    """kind: "gradient", "plain" (numbers, rightly without gradient), "other" (not the number of floats), "error",
    "none" (an error with floats, too), "wrong".
    """

    kind: str
    text: str = ""


# --- one call --------------------------------------------------------------------------------------------------------


@functools.cache
def outcome(call, instead=""):
    """The result of the call with Values, or of the expression `instead`."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        values = {name: _lifted(array) for name, array in INPUTS.items()}
        try:
            expected = _flat(_made(call, INPUTS))
        except Exception:
            return Outcome("none")
        try:
            results = _flat(_made(instead or call, values))
        except Exception as error:
            return Outcome("error", f"{type(error).__name__.removeprefix('_')}: {error}")
        if not results or not all(isinstance(result, (Value, bool, int, float)) for result in results):
            return Outcome("wrong", f"neither Values nor numbers: {results}")
        numbers = [result.data if isinstance(result, Value) else result for result in results]
        if not np.allclose(numbers, expected, rtol=1e-13, atol=1e-15, equal_nan=True):
            return Outcome("other", f"{numbers}, with floats {expected}")
        if not any(isinstance(result, Value) for result in results) and not isinstance(results[0], float):
            return Outcome("plain", "booleans" if isinstance(results[0], bool) else "integers")
        return _differentiated(call, values, results)


def _differentiated(call, values, results):
    weights = np.random.default_rng(0).normal(size=len(results)).tolist()
    sum((weight * result for weight, result in zip(weights, results)), Value(0.0)).backward()
    for name, array in INPUTS.items():
        gradient = [value.grad for value in np.ravel(values[name])]
        differences = []
        for i in range(np.size(array)):
            moved = [np.dot(weights, _flat(_made(call, {**INPUTS, name: _nudged(array, i, h)}))) for h in (H, -H)]
            differences.append((moved[0] - moved[1]) / (2 * H))
        if not np.allclose(gradient, differences, rtol=1e-6, atol=1e-7):
            return Outcome("wrong", f"the gradient of {name} is {gradient}, differences are {differences}")
    return Outcome("gradient")


def _made(call, inputs):
    inputs = {
        name: thing.copy() if isinstance(thing, np.ndarray) else thing for name, thing in (FLOATS | inputs).items()
    }
    return eval(call, {"np": np, "ts": ts, "math": math, "at": _at, **inputs})


def _at(ufunc, array, indices, *others):
    ufunc.at(array, indices, *others)
    return array


def _lifted(number):
    if isinstance(number, np.ndarray):
        return np.array([Value(element) for element in number.flat]).reshape(number.shape)
    return Value(number)


def _nudged(number, i, h):
    if not isinstance(number, np.ndarray):
        return number + h
    nudged = number.copy()
    nudged.flat[i] += h
    return nudged


def _flat(result):
    """The numbers and Values of a result, one after the other."""
    if isinstance(result, (tuple, list)):
        return [element for part in result for element in _flat(part)]
    if isinstance(result, (np.ndarray, np.generic)):
        return [element.item() if isinstance(element, np.generic) else element for element in np.ravel(result).tolist()]
    return [result]


# --- the ufuncs ------------------------------------------------------------------------------------------------------


def ufuncs():
    """All of NumPy's ufuncs by name, with their other names."""
    names = {}
    for module, prefix in ((np, ""), (np.linalg, "linalg.")):
        for name, thing in sorted(vars(module).items()):
            if isinstance(thing, np.ufunc):
                names.setdefault(thing, []).append(prefix + name)
    return {_own_name(ufunc, known): known for ufunc, known in names.items()}


def _own_name(ufunc, names):
    return ufunc.__name__ if ufunc.__name__ in names else names[0]


def ufunc_calls(name):
    """The calls of a ufunc: on arrays, on single Values, with a float array on either side, and its methods."""
    ufunc = getattr(np, name)
    if name in OPERANDS:
        arrays, singles = OPERANDS[name]
    else:
        arrays, singles = ("x", "v") if ufunc.nin == 1 else ("x, y", "v, w")
    made = {"arrays": f"np.{name}({arrays})"}
    if singles:
        made["single Values"] = f"np.{name}({singles})"
    if ufunc.nin == 2 and ufunc.signature is None:
        first, second = arrays.split(", ")
        if second in INPUTS:
            made["a float array first"] = f"np.{name}(F, {second})"
        made["a float array last"] = f"np.{name}({first}, F)"
        if ufunc.nout == 1:
            made |= {
                "reduce": f"np.{name}.reduce({first if name != 'power' else 'p[:2]'})",  # of 3, NumPy 2.4 skips one
                "accumulate": f"np.{name}.accumulate({first})",
                "reduceat": f"np.{name}.reduceat({first}, [0, 2])",
                "outer": f"np.{name}.outer({arrays})",
                "at": f"at(np.{name}, {first}, [0, 2], {second}[:2])",
            }
    elif ufunc.signature is None:
        made["at"] = f"at(np.{name}, {arrays}, [0, 2])"
    return made


# --- the page --------------------------------------------------------------------------------------------------------

PREAMBLE = f"""# NumPy with Values

What NumPy {VERSION} does with object arrays of Values and with single Values. NumPy calls the methods and operators of
the elements, so most of it has its gradient. Where it cannot ask a Value, it raises an error; what to write instead
stands beside it. Every line here was tried: numbers against NumPy with floats, gradients against central differences of
those. `python tests/support/numpy_table.py` makes this page, and a test fails when it is out of date.

In the calls x, y, p and c are vectors of Values, A and B matrices, v and w single Values; F is a vector of floats, f a
float, i a vector of integers.

## What differs from arrays of floats

- **NumPy compares where it chooses.** `np.maximum`, `np.max`, `np.sort`, `np.clip` and their kin return one of their
  operands, with its gradient. In a tie the first gets all of it, where `ts.maximum` and `ts.max` give each its share;
  and they do not look for nan (NumPy warns). Comparisons, and what counts or finds places, give plain booleans and
  integers.
  In a function that `vectorize` traces, comparisons are refused: use `ts.maximum`, `ts.max`, `ts.where`.
- **`==` is identity.** So `np.equal`, `np.array_equal`, `np.unique` and `np.isin` ask whether it is the same Value.
  NumPy finds nan by x ≠ x: `np.nansum` and its kin, and `np.nan_to_num`, leave a nan as it is.
- **`np.sign` gives plain integers**, and raises an error for 0 and nan: `x.sign()` is a Value.
- **`np.logical_and` and `np.logical_or`** return one of their operands, as Python's `and` and `or` do.
- **Functions of two numbers, such as `np.hypot`,** call a method of the first. If that is a float, it has none.
- **Functions of this package on arrays**: `np.vectorize(ts.logaddexp)(x, y)`, element by element.
- **No ufunc is overridden** (`__array_ufunc__`): `np.float64(2) * v` would take twice the time.
"""


def page():
    """The whole page."""
    return "\n".join([PREAMBLE, *_ufunc_table(), *_function_tables()]) + "\n"


def _ufunc_table():
    yield "## Ufuncs\n"
    yield "The methods in the second column have their gradients, too.\n"
    yield "| ufunc | of Values | instead |"
    yield "| --- | --- | --- |"
    for name, names in ufuncs().items():
        outcomes = {form: (call, outcome(call)) for form, call in ufunc_calls(name).items()}
        call, main = outcomes["arrays"]
        if main.kind == "none":
            continue
        others = [f"`np.{other}`" for other in names if other != name]
        text = _said(main)
        methods = [
            f"`.{form}`"
            for form, (_, other) in outcomes.items()
            if form in METHODS and other.kind == main.kind == "gradient"
        ]
        yield f"| {', '.join([f'`np.{name}`', *others])} | {' '.join([text, *methods])} | {_instead(call, main)} |"
        for form, (call, other) in outcomes.items():
            if form not in METHODS and other.kind not in (main.kind, "none"):
                yield f"| `{call}` | {_said(other)} | {_instead(call, other)} |"
    left = [f"`np.{name}`" for name in ufuncs() if outcome(ufunc_calls(name)["arrays"]).kind == "none"]
    yield f"\nNot for floats either: {', '.join(left)}.\n"


def _function_tables():
    for section, its_calls in calls().items():
        yield f"## {section}\n"
        yield "| | |\n| --- | --- |"
        kinds = {}
        for call in its_calls:
            kinds.setdefault(_said(outcome(call)), []).append(call)
        for said, alike in kinds.items():
            if outcome(alike[0]).kind in ("gradient", "plain"):
                yield f"| {said} | {' '.join(f'`{_cell(call)}`' for call in alike)} |"
        for call in its_calls:
            if outcome(call).kind not in ("gradient", "plain"):
                yield f"| `{_cell(call)}` | {_said(outcome(call))}; instead {_instead(call, outcome(call))} |"
        yield ""


def _said(outcome):
    """An outcome in the page."""
    if outcome.kind == "plain":
        return f"no derivative: plain {outcome.text}"
    if outcome.kind == "other":
        return "one of the operands"
    if outcome.kind == "error":
        message = outcome.text.replace("tinygrad_scalar.Value", "Value")  # the compiled one's name
        message = re.split(r", and the inputs|: to keep|: use", message)[0]
        return "`" + _cell(re.sub(r"Value\([^)]*\)", "x", message)) + "`"
    return outcome.kind


def _instead(call, outcome):
    if outcome.kind in ("gradient", "plain") and call not in INSTEAD:
        return ""
    return f"`{_cell(INSTEAD[call])}`" if call in INSTEAD else remark(call)


def remark(call):
    """Advice for a call that no expression can replace."""
    return REMARKS.get(call) or (REMARKS["np.linalg"] if call.startswith("np.linalg.") else "")


def _cell(text):
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
