"""Tables of pandas, polars, pyarrow and others as arrays, through narwhals: numbers as they are, anything else an error
that names its column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine.errors import shown

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from tinygrad_scalar.engine.bulk import Array

_LIBRARIES = ("pandas", "polars", "pyarrow", "modin", "cudf", "duckdb", "ibis", "pyspark")
_OF_INPUTS = (
    "convert it to numbers, categories to one column each (one-hot), or leave it out; `tinygrad-scalar train` does so "
    "for a CSV file"
)
THE_NETWORKS = "the network's input_names"
OF_CLASSES = "names, Y = np.unique(labels, return_inverse=True) numbers classes"
_OF_TARGETS = "convert it to numbers, or for a loss of classes to one column of text"
_AS_TEXT = {"pandas": ", with .astype(str)", "polars": ", with .cast(pl.String)", "pyarrow": ", with .cast('string')"}


def is_table(given: object) -> bool:
    """Whether it comes from a library of tables: a table, or one of its columns."""
    return type(given).__module__.partition(".")[0] in _LIBRARIES


def array_of_table(given: ArrayLike, name: str, targets: bool = False) -> ArrayLike:
    """The columns of a table in their order as an array of shape (m, n), a single column as (m,); else `given` itself.

    With `targets` a table of one column is that column. Without narwhals a table is left to NumPy, which knows no
    column names. TypeError for a column of anything but numbers and booleans, ValueError for a missing cell.
    """
    if not is_table(given):
        return given
    try:
        import narwhals as nw
    except ImportError:
        return given
    table = _read(given, name)
    if isinstance(table, nw.Series):
        return _column(table, name, name, targets)
    if not isinstance(table, nw.DataFrame):
        return given  # an index, a scalar
    import numpy as np

    if 0 in table.shape:  # whose columns have no kind yet
        return np.empty(table.shape)
    columns = [_column(column, f"column {column.name!r} of {name}", name, targets) for column in table.iter_columns()]
    if targets and len(columns) == 1:
        return columns[0]
    return np.column_stack(columns)


def texts_of_column(given: Any, name: str) -> list[str] | Array | None:
    """The texts of a column, or of a table of one column; None if it holds anything else.

    ValueError for a missing cell. What narwhals does not read, or all without narwhals, becomes an array of anything.
    """
    import numpy as np

    try:
        import narwhals as nw
    except ImportError:
        return np.asarray(given)
    column = _read(given, name)
    if isinstance(column, nw.DataFrame) and column.shape[1] == 1:
        column = next(column.iter_columns())
    if not isinstance(column, (nw.DataFrame, nw.Series)):
        return np.asarray(given)
    if not isinstance(column, nw.Series) or column.dtype not in (nw.String, nw.Categorical, nw.Enum, nw.Object):
        return None
    cells: list[str] = column.to_list()
    if not any(isinstance(cell, str) for cell in cells):
        return None
    _require_complete(column, f"{name} must hold a label in each row, but it")
    return cells


def column_names(given: Any) -> tuple[str, ...]:
    """The names of a table's columns, if all of them are texts; none of anything else."""
    if not is_table(given) or not hasattr(given, "columns"):
        return ()
    names = tuple(given.column_names if hasattr(given, "column_names") else given.columns)
    return names if all(isinstance(name, str) for name in names) else ()


def required_columns(names: Any) -> tuple[str, ...] | None:
    """The names of columns as a tuple, or None; TypeError or ValueError if they are not different texts."""
    if names is None:
        return None
    listed = list(names) if isinstance(names, (list, tuple)) or getattr(names, "ndim", 0) == 1 else []
    if not listed or not all(isinstance(name, str) for name in listed):
        raise TypeError(f"input_names must be a list of texts such as ['age', 'income'], or None; got {shown(names)}")
    if len(set(listed)) < len(listed):
        raise ValueError(f"input_names must be different texts, got {shown(names)}")
    return tuple(map(str, listed))


def columns_of_file(names: Any) -> tuple[str, ...]:
    """The names that a file holds; ValueError if no network could have them."""
    try:
        found = required_columns(names)
    except TypeError as error:
        raise ValueError(str(error)) from None
    if found is None:
        raise ValueError("its input_names must be a list of texts, got None")
    return found


def require_same_columns(names: tuple[str, ...], name: str, first: tuple[str, ...], first_name: str) -> None:
    """ValueError if two tables have columns of other names, or in another order: only their places count."""
    if not names or not first or names == first:
        return
    i = next((i for i, (ours, theirs) in enumerate(zip(names, first)) if ours != theirs), min(len(names), len(first)))
    ours, theirs = (repr(some[i]) if i < len(some) else "none" for some in (names, first))
    raise ValueError(
        f"{name} must have the columns of {first_name} in the same order, but column {i} is {ours} in {name} and "
        f"{theirs} in {first_name}: select them as in table[list_of_names]"
        + (", or set net.input_names = None" if first_name == THE_NETWORKS else "")
    )


def _read(given: Any, name: str) -> Any:
    """A table or a column as narwhals reads it; what it does not know comes back as it is."""
    import narwhals as nw

    try:
        table: Any = nw.from_native(given, allow_series=True, pass_through=True)
    except nw.exceptions.DuplicateError:
        raise ValueError(
            f"{name} has two columns of one name ({', '.join(map(str, _repeated_columns(given)))}): rename or drop one"
        ) from None
    if isinstance(table, nw.LazyFrame):
        raise TypeError(f"{name} is a lazy table, a {type(given).__name__}: give the rows that collect() returns")
    return table


def _repeated_columns(table: Any) -> list[Any]:
    """The names that stand more than once."""
    names = list(table.column_names if hasattr(table, "column_names") else table.columns)  # pyarrow's are its columns
    return [name for i, name in enumerate(names) if name in names[:i]]


def _column(column: Any, what: str, name: str, targets: bool) -> Array:
    """The numbers of a column; `what` names it."""
    import narwhals as nw
    import numpy as np

    dtype = column.dtype
    if not dtype.is_numeric() and dtype != nw.Boolean:
        kind = "text or objects" if dtype in (nw.Object, nw.String) else str(dtype)
        advice = _OF_TARGETS + _AS_TEXT.get(column.implementation.value, "") if targets else _OF_INPUTS
        raise TypeError(f"{name} must hold numbers, but {what} is {kind}: {advice}")
    _require_complete(column, f"{name} must hold finite numbers, but {what}")
    if isinstance(dtype, nw.Decimal):
        column = column.cast(nw.Float64)
    numbers: Array = column.to_numpy()
    if numbers.dtype.kind == "O":  # nullable integers and booleans without a missing cell
        numbers = numbers.astype(bool if dtype == nw.Boolean else float if dtype.is_float() else int)
    if not (finite := np.isfinite(numbers)).all():
        row = int(finite.argmin())
        raise ValueError(f"{name} must hold finite numbers, got {numbers[row]} in row {row} (counted from 0) of {what}")
    return numbers


def _require_complete(column: Any, begin: str) -> None:
    """ValueError, with this beginning, if cells are missing."""
    import numpy as np

    missing = column.is_null()
    if missing.any():
        row = int(np.argmax(missing.to_numpy()))
        count = int(missing.sum())
        cells = "a missing cell" if count == 1 else f"{count} missing cells, the first"
        raise ValueError(
            f"{begin} has {cells} in row {row} (counted from 0): fill them or drop their rows; `tinygrad-scalar train` "
            "does so for a CSV file"
        )
