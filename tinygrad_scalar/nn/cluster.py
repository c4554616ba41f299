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

from tinygrad_scalar.engine.errors import LONGEST, shown
from tinygrad_scalar.nn.dask_batches import is_dask, require_no_table, require_rows, whole_rows
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
from tinygrad_scalar.screen import counted, shortened

if TYPE_CHECKING:
    from distributed import Client

    from tinygrad_scalar.nn.class_names import Classes

SECONDS = 10.0  # to wait for a scheduler
INSTALL = "pip install 'tinygrad_scalar[distributed]'"
TLS = [f"DASK_DISTRIBUTED__COMM__TLS__{name}" for name in ("CA_FILE", "CLIENT__CERT", "CLIENT__KEY")]


class Cluster:
    """The workers of a Dask cluster, where a handle is a Delayed."""

    def __init__(self, client: Client) -> None:
        self._client: Any = client  # whose types nobody wrote
        self._address = client.scheduler.address if client.scheduler is not None else "?"
        with self._reported():
            if not self._client.scheduler_info(n_workers=-1)["workers"]:
                raise ValueError(
                    f"{self._address} has no workers yet: start some; client.wait_for_workers(1) waits for one"
                )
            found = self._client.run(versions, on_error="return")
        for address, theirs in found.items():
            if isinstance(theirs, OSError):  # lost just now; each is asked again when it computes
                continue
            if isinstance(theirs, Exception):
                raise RuntimeError(f"the worker {address} cannot run tinygrad_scalar: {theirs}. On each, {INSTALL}")
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
        from distributed import wait

        with self._reported():
            futures = self._client.compute(handles)
            with self._client.as_current():
                wait(futures)  # gather alone, interrupted by Ctrl-C, leaves tracebacks on stderr
            return list(self._client.gather(futures))

    def blocks(self, array: Any) -> list[Any]:
        return list(array.to_delayed().ravel())

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Errors that say what to do: ConnectionError without scheduler or workers, RuntimeError if workers die."""
        from distributed import KilledWorker
        from distributed.client import ClosedClientError
        from distributed.comm.core import CommClosedError
        from distributed.scheduler import NoWorkerError

        try:
            yield
        except KilledWorker as error:
            raise RuntimeError(
                f"{counted(error.allowed_failures + 1, 'worker')} died while computing with the same partition. If it "
                "is larger than their memory, X.rechunk({0: rows}) makes smaller ones; their logs may say more"
            ) from error
        except (OSError, RuntimeError, CancelledError, ClosedClientError, NoWorkerError) as error:
            lost = isinstance(error, (CommClosedError, CancelledError, ClosedClientError, NoWorkerError))
            if not lost and self._client.status == "running":
                raise  # of a worker
            found = "is gone, or has dropped the work"
            if isinstance(error, NoWorkerError):
                _, seconds = error.args
                found = f"has had no workers for {seconds:g} s"
            raise ConnectionError(
                f"the Dask scheduler {self._address} {found}: connect a new Client; a training with a checkpoint goes "
                "on with resume=True"
            ) from error


def examples_for(X: Any, Y: Any, client: Client | None, classes: Classes) -> Examples:
    """The examples as they are, or in partitions: those of Dask arrays, or blocks made for a client.

    If Y holds text, the `classes` learn it.
    """
    place: Place = Here() if client is None else Cluster(required_client(client))
    for name, array in (("X", X), ("Y", Y)):
        require_no_table(array, name)
        if is_dask(array):
            require_rows(array, name)
    if not is_dask(X):
        Y = _in_memory(Y, place, "Y")
        classes.learn([(Y, "Y")])
        examples = Examples(X, Y, classes=classes)
        return examples if client is None else in_blocks(examples, place)
    if is_dask(Y) and Y.chunks[0] != X.chunks[0]:
        ours, theirs = (shortened(array.chunks[0], LONGEST) for array in (X, Y))
        raise ValueError(
            f"X and Y must have the same partitions, got chunks of {ours} and {theirs} rows: "
            "Y.rechunk({0: X.chunks[0]})"
        )
    Y = _in_memory(Y, place, "Y")
    classes.learn([(Y, "Y")])
    labels = classes.indices_of(Y, "Y")
    targets = rows_of(Y, "Y", targets=True) if labels is None else labels
    m = len(X)
    if m != len(targets):
        raise ValueError(f"X has {m} example{'s' * (m != 1)} but Y has {len(targets)}")
    X = whole_rows(X)
    cuts = list(accumulate((int(n) for n in X.chunks[0] if n), initial=0))
    blocks = checked_blocks(X, place, "X")
    rows: Any = BlockRows(place, blocks, cuts, X.shape, X.dtype)
    if labels is not None:
        targets = classes.targets(labels, "Y", Rows(rows))
    examples = PartitionedExamples(rows, targets, place, blocks, cuts)
    examples.labels = labels
    return examples


def _in_memory(array: Any, place: Place, name: str) -> Any:
    import numpy as np

    from tinygrad_scalar.vectorize.real_array import require_unmasked

    if not is_dask(array):
        return array
    blocks = place.results(place.blocks(whole_rows(array)))
    for block in blocks:
        require_unmasked(block, name)
    return np.concatenate(blocks)


@contextmanager
def connected(address: str | None) -> Iterator[Client | None]:
    """A Client of the scheduler at an address, such as tcp://10.0.0.1:8786; None without one.

    ConnectionError if nobody answers, ModuleNotFoundError without Dask.
    """
    if address is None:
        yield None
        return
    import asyncio

    try:
        from distributed import Client
    except ImportError:
        raise ModuleNotFoundError(f"a scheduler needs Dask: {INSTALL}") from None
    from distributed.comm.addressing import parse_address, resolve_address
    from distributed.security import Security

    try:
        resolve_address(address)  # a Client of what is no address takes long to give up
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{address!r} is no address of a Dask scheduler, such as tcp://10.0.0.1:8786: {error}"
        ) from None
    try:
        options = Security().get_connection_args("client")
    except OSError as error:
        raise ValueError(f"{address}: Dask cannot read its certificates: {error}") from None
    if parse_address(address)[0] == "tls" and options.get("ssl_context") is None:
        raise ValueError(
            f"{address} needs certificates, which Dask takes from its configuration, distributed.comm.tls: "
            f"{', '.join(TLS)} name the files"
        )
    with _silent():  # what goes wrong becomes an error of fit
        try:
            asyncio.run(_greet(address, options))
            client = Client(address, timeout=SECONDS, set_as_default=False)
        except (OSError, asyncio.TimeoutError):
            raise ConnectionError(f"no Dask scheduler answers at {address} within {SECONDS:g} s") from None
        with client:
            yield client


async def _greet(address: str, options: dict[str, Any]) -> None:
    """TimeoutError unless Dask answers: a Client waits for ever where something else does, such as the dashboard."""
    import asyncio

    from distributed.comm.core import connect

    comm: Any = await asyncio.wait_for(connect(address, timeout=SECONDS, **options), SECONDS)
    await comm.close()


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
        made = ": Client(address)" if isinstance(client, str) else ""
        made = ": cluster.get_client()" if hasattr(client, "get_client") else made
        raise TypeError(f"client must be a dask.distributed.Client, got {shown(client)}{made}")
    if client.asynchronous:
        raise ValueError("client must not be asynchronous: fit waits for its results")
    if client.status != "running":
        raise ValueError(f"client must be connected to a scheduler, but it is {client.status}: make a new Client")
    return client
