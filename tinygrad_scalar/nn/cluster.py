"""Dask for `fit`: arrays as blocks, and a Client as the place where shares are computed.

Dask schedules, sends and tries again. What is here turns its arrays and errors into those of `fit`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.nn.dask_batches import is_dask, require_rows, whole_rows
from tinygrad_scalar.nn.examples import Examples, Rows, rows_of
from tinygrad_scalar.nn.partitions import (
    BlockRows,
    Here,
    PartitionedExamples,
    Place,
    checked_blocks,
    in_blocks,
    require_same_versions,
    versions,
)

if TYPE_CHECKING:
    from distributed import Client

    from tinygrad_scalar.nn.class_names import Classes

SECONDS = 10.0  # to wait for a scheduler
INSTALL = "pip install 'tinygrad_scalar[distributed]'"


class Cluster:
    """The workers of a Dask cluster, where a handle is a Delayed."""

    def __init__(self, client: Client) -> None:
        self._client: Any = client  # whose types nobody wrote
        self._address = client.scheduler.address if client.scheduler is not None else "?"
        with self._reported():
            if not self._client.scheduler_info(n_workers=-1)["workers"]:
                raise ValueError(f"{self._address} has no workers yet: start some, and client.wait_for_workers(1)")
            for address, theirs in self._client.run(versions).items():
                require_same_versions(versions(), theirs, f"the worker {address}")

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        from dask.delayed import delayed

        return delayed(function, pure=False)(*arguments)

    def kept(self, handles: Sequence[Any]) -> list[Any]:
        import dask.config

        # the scheduler keeps what is sent, for when a worker is lost: that it is large is meant
        with self._reported(), dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TiB"}):
            return list(self._client.persist(handles))

    def results(self, handles: Sequence[Any]) -> list[Any]:
        with self._reported():
            return list(self._client.gather(self._client.compute(handles)))

    def blocks(self, array: Any) -> list[Any]:
        return list(array.to_delayed().ravel())

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """A ConnectionError that says what to do, where the scheduler is gone."""
        from distributed.comm.core import CommClosedError

        try:
            yield
        except (OSError, RuntimeError, CancelledError) as error:
            lost = isinstance(error, (CommClosedError, CancelledError))
            if not lost and self._client.status == "running":
                raise  # of a worker
            raise ConnectionError(
                f"the Dask scheduler {self._address} is gone, or has dropped the work: connect a new Client; a "
                "training with a checkpoint goes on with resume=True"
            ) from error


def examples_for(X: Any, Y: Any, client: Client | None, classes: Classes) -> Examples:
    """The examples as they are, or in partitions: those of Dask arrays, or blocks made for a client.

    If Y holds text, the `classes` learn it.
    """
    place: Place = Here() if client is None else Cluster(required_client(client))
    if not is_dask(X):
        Y = _in_memory(Y, place)
        classes.learn([(Y, "Y")])
        examples = Examples(X, Y, classes=classes)
        return examples if client is None else in_blocks(examples, place)
    require_rows(X, "X")
    if is_dask(Y) and (Y.ndim == 0 or Y.chunks[0] != X.chunks[0]):
        raise ValueError(
            f"X and Y must have the same partitions, got chunks of {shown(X.chunks[0])} and {shown(Y.chunks[:1])} rows"
            ": Y.rechunk({0: X.chunks[0]})"
        )
    Y = _in_memory(Y, place)
    classes.learn([(Y, "Y")])
    labels = classes.indices_of(Y, "Y")
    targets = rows_of(Y, "Y") if labels is None else labels
    m = len(X)
    if m != len(targets):
        raise ValueError(f"X has {m} example{'s' * (m != 1)} but Y has {len(targets)}")
    X = whole_rows(X)
    cuts = list(accumulate((int(n) for n in X.chunks[0] if n), initial=0))
    blocks = checked_blocks(X, cuts, place, "X")
    rows: Any = BlockRows(place, blocks, cuts, X.shape, X.dtype)
    if labels is not None:
        targets = classes.targets(labels, "Y", Rows(rows))
    examples = PartitionedExamples(rows, targets, place, blocks, cuts)
    examples.labels = labels
    return examples


def _in_memory(array: Any, place: Place) -> Any:
    import numpy as np

    if not is_dask(array):
        return array
    return np.concatenate(place.results(place.blocks(whole_rows(array))))


@contextmanager
def connected(address: str | None) -> Iterator[Client | None]:
    """A Client of the scheduler at an address, such as tcp://10.0.0.1:8786; None without one.

    ConnectionError if nobody answers, ModuleNotFoundError without Dask.
    """
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError:
        raise ModuleNotFoundError(f"a scheduler needs Dask: {INSTALL}") from None
    from distributed.comm.addressing import resolve_address

    try:
        resolve_address(address)  # a Client of what is no address takes long to give up
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{address!r} is no address of a Dask scheduler, such as tcp://10.0.0.1:8786: {error}"
        ) from None
    with _silent():  # what goes wrong becomes an error of fit
        try:
            client = Client(address, timeout=SECONDS, set_as_default=False)
        except OSError:
            raise ConnectionError(f"no Dask scheduler answers at {address} within {SECONDS:g} s") from None
        with client:
            yield client


@contextmanager
def _silent() -> Iterator[None]:
    """Keep Dask's log from stderr."""
    handlers = logging.getLogger("distributed").handlers
    levels = [handler.level for handler in handlers]
    try:
        for handler in handlers:
            handler.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for handler, level in zip(handlers, levels):
            handler.setLevel(level)


def required_client(client: Any) -> Client:
    """The Client if it is one and connected; else a TypeError or a ValueError."""
    try:
        from distributed import Client
    except ImportError:
        raise ModuleNotFoundError(f"client= needs Dask: {INSTALL}") from None
    if not isinstance(client, Client):
        address = ": Client(address)" if isinstance(client, str) else ""
        raise TypeError(f"client must be a dask.distributed.Client, got {shown(client)}{address}")
    if client.asynchronous:
        raise ValueError("client must not be asynchronous: fit waits for its results")
    if client.status != "running":
        raise ValueError(f"client must be connected to a scheduler, but it is {client.status}: make a new Client")
    return client
