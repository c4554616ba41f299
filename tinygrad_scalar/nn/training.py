"""Training: the complete sequence of 003's last section. For every batch: feed forward, cost, backpropagate, step."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.graph import topological_order
from tinygrad_scalar.engine.number import required_flag, required_integer
from tinygrad_scalar.nn.callbacks import Epoch, checked_callbacks, is_true, watch_for
from tinygrad_scalar.nn.checkpoint import Checkpoint, Course
from tinygrad_scalar.nn.class_names import Classes
from tinygrad_scalar.nn.example_weights import weights_of
from tinygrad_scalar.nn.gradient_rule import gradient_rule
from tinygrad_scalar.nn.history import History
from tinygrad_scalar.nn.judging import judge, mean_cost, require_measurable
from tinygrad_scalar.nn.losses import find_loss, row_of
from tinygrad_scalar.nn.metrics import find_metrics
from tinygrad_scalar.nn.mlp import Module, generator_of
from tinygrad_scalar.nn.optim import OPTIMIZERS, Optimizer
from tinygrad_scalar.nn.partition_trainer import partition_trainer
from tinygrad_scalar.nn.partitions import PartitionedExamples
from tinygrad_scalar.nn.progress import progress_bar, show_costs
from tinygrad_scalar.nn.schedules import find_schedule, rate_at
from tinygrad_scalar.nn.sources import of_validation, source_of
from tinygrad_scalar.nn.standstill import warn_of_standstill
from tinygrad_scalar.nn.tables import THE_NETWORKS, require_same_columns
from tinygrad_scalar.nn.trainers import trainer_for
from tinygrad_scalar.nn.training_identity import identity_of
from tinygrad_scalar.nn.wrong_rows import placed

if TYPE_CHECKING:
    from distributed import Client
    from numpy.typing import ArrayLike

    from tinygrad_scalar.nn.batches import InBatches
    from tinygrad_scalar.nn.callbacks import Callback, EarlyStopping
    from tinygrad_scalar.nn.examples import Examples
    from tinygrad_scalar.nn.losses import LossFunction
    from tinygrad_scalar.nn.metrics import Metric
    from tinygrad_scalar.nn.schedules import Schedule
    from tinygrad_scalar.nn.trainers import Network, ScalarTrainer

_LOOKED_THROUGH = 1 << 14  # targets that are checked at a time: sorting them takes several copies


def fit(
    net: Network,
    X: ArrayLike | InBatches,
    Y: ArrayLike | None = None,
    *,
    loss: str | LossFunction = "squared_error",
    optimizer: str | Optimizer = "adam",
    epochs: int = 100,
    batch_size: int | None = None,
    validation: tuple[ArrayLike, ArrayLike] | InBatches | None = None,
    metrics: Sequence[str | Metric] = (),
    callbacks: Callback | Sequence[Callback] = (),
    early_stopping: EarlyStopping | int | None = None,
    schedule: str | Schedule | None = None,
    clip_norm: float | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    sample_weight: ArrayLike | None = None,
    class_weight: Mapping[Any, float] | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool | None = None,
    seed: int | None = 0,
    vectorized: bool = True,
    client: Client | None = None,
) -> History:
    """Train `net` on m examples and return the History of its cost, epoch by epoch.

    X, Y        arrays or lists with one example per row: X of shape (m, n) or (m,), Y of shape (m, k) or (m,);
                for cross_entropy Y holds class indices, integers from 0, and has the shape (m,). Tables of pandas,
                polars or pyarrow count as the array of their columns, all numbers, in their order. A memory map
                (np.memmap) stays on disk: one pass checks it, then each batch is read as it is needed. Warns if it is
                larger than memory and there is a batch_size, because a random order then reads the disk around every
                row: give blocks instead, as below. Dask arrays: see below
    Y           can also hold text, one label for each example, if the loss is one of ours for classes. The different
                labels, sorted, are numbered from 0 and stay with the network as `net.class_names`, by which further
                calls number theirs and `net.predict` answers. k classes need k outputs; two of them can share one for
                binary_cross_entropy (also with logits) and hinge. Metrics get the numbers. If only the validation has
                an example of some class, name all beforehand. Numbers can train a network with class_names further;
                if they are no classes but those of a regression, by a loss for numbers, then the names are let go,
                with a warning, and `net.predict` gives numbers
    X           alone: a function that returns the batches (X, Y) of one epoch, such as a generator function, or an
                iterable that gives them each time, such as `ts.nn.DaskBatches`. A generator gives them only once:
                epochs=1. Each batch is a step, counts by its number of examples, and is checked when it comes. If the
                function has a parameter `epoch`, it gets the number of the epoch, from 1: with it as a seed, a shuffled
                order is drawn again when a training goes on. Labels need `net.class_names` beforehand, unless the
                batches are in a list. A stream without end needs an end: `lambda: itertools.islice(stream, 100)`
    loss        a function (a, y) -> Value, or the name of one of our losses
    optimizer   an optimizer over net.parameters(), or the name of one, which then uses its defaults
    batch_size  the number of examples per step; None: all of them. Batches are drawn in an order shuffled by `seed`
    validation  (X, Y) whose cost is measured after every epoch, without training on them; or what gives them in
                batches, such as a function or a list of tuples (X, Y)
    metrics     numbers to record beside the cost, of the validation examples if there are some: "accuracy", "rmse",
                "mae", "r2", or functions (outputs of shape (m, k), Y) -> number
    callbacks   functions that are called after every epoch with an Epoch (its number, costs, metrics, parameters); if
                one returns True, training stops
    early_stopping  a number of epochs: stop when the validation cost (without validation, the cost) has not fallen for
                so long, and go back to the parameters of the best epoch; or an EarlyStopping
    schedule    of the learning rate: "constant", "step", "cosine", "warm_up", or a function of the epochs done and
                their number that returns a factor of the optimizer's learning rate; `ts.nn` has step_decay,
                cosine_decay and warm_up
    clip_norm   the greatest length of the gradient that the optimizer gets
    l1, l2      penalties l1·Σ|w| and l2·Σw² on the weights; biases (labelled b…) have none. They count in the gradient,
                not in the recorded cost
    sample_weight, class_weight  how much each example counts: m numbers; {class or label: number} or "balanced". They
                are scaled to a mean of 1; the cost of the validation examples is not weighted. Not for X alone
    checkpoint  a file that is written atomically after each epoch, less often where writing would take more than 5 % of
                the time, and after the last: the parameters, the optimizer's state and the random generator's, the
                history, and what early stopping has seen
    resume      go on from the checkpoint, to the bits of a training that was not interrupted; begin if there is none.
                One of another network, optimizer, loss, option or data is a ValueError that names what differs; there
                can be more epochs if there is no schedule. Callbacks keep their own state, and so does what gives
                batches, of which only the first is compared. Without resume, a checkpoint that exists is a
                FileExistsError
    progress    show a progress bar on stderr; None: where that is a terminal or a notebook
    vectorized  run the matrix equations that `vectorize` derives from net and loss; False: the engine, scalar by
                scalar. The result is the same to rounding. Warns if net or loss cannot be vectorized. The numbers in
                lists and arrays that net or loss read are then fixed while fit runs.
    client      a Client of dask.distributed, whose workers compute the gradients (`pip install
                'tinygrad_scalar[distributed]'`), see below

    With Dask arrays or a client, X is in partitions: the chunks of a Dask array, or 16 blocks of ⌈m/16⌉ rows. Batches
    are drawn as ever. Each partition gives the share of the batch that lies in it, and the shares are added in pairs of
    neighbours. So a cluster gives the same bits however many workers it has or loses, and so does this process with the
    same Dask arrays and no client, which loads them into memory (`ts.nn.DaskBatches` does not). All else is in this
    process: parameters, optimizer, Y, weights, validation, callbacks, checkpoints. ConnectionError if the scheduler is
    gone.

    The same seed gives the same bits on any number of cores and of BLAS's threads, unless a layer with n inputs and k
    outputs has nkm > 16,000,000 in a batch of m ≤ 1,024, or the program runs as NumPy, without the compiled modules or
    with operations that they lack: then set OPENBLAS_NUM_THREADS=1 before Python starts. See docs/distributed.md.

    Bad input raises a ValueError or TypeError before anything has changed; what is wrong in a later batch that X alone
    gives is found when it comes, and the network is as it was then; the error names batch and epoch. AnomalyError if a
    loss or a gradient becomes nan or infinite; that batch's step is then not taken. AnomalyError too if a validation
    loss becomes nan; an infinite one is recorded. Warns if the cost never moved, or the gradients died on the
    way, although it could be lower. Ctrl-C ends the training as early stopping would, with a warning: the history has
    the epochs until then. What was derived from net and loss stays with an MLP, Layer or Neuron, so that further calls
    begin at once.

    >>> from tinygrad_scalar import MLP, GradientDescent
    >>> net = MLP(1, [1], "linear", seed=0)
    >>> descent = GradientDescent(net.parameters(), 0.1)
    >>> history = fit(net, [0, 1, 2], [1, 3, 5], optimizer=descent, epochs=300, progress=False)
    >>> round(net.parameters()[0].data, 3), round(net.parameters()[1].data, 3)  # y = 2x + 1
    (2.0, 1.0)

    A training that goes on where an earlier one ended, which may have been killed:

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = os.path.join(folder, "run.safetensors")
    ...     for epochs in (100, 200):
    ...         net = MLP(1, [1], "linear", seed=0)
    ...         history = fit(net, [0, 1], [1, 3], epochs=epochs, checkpoint=file, resume=True, progress=False)
    >>> len(history.cost)
    200

    Batches in another order in each epoch, and in the same one for a training that goes on, because its seed is the
    epoch's number. They are made of blocks in random order, each shuffled, as a file larger than memory has to be read,
    which `rows` could be. And text as labels:

    >>> import numpy as np
    >>> rows, labels = np.random.default_rng(0).normal(size=(60, 2)), np.array(["cat", "dog"] * 30)
    >>> rows[1::2] += 3.0
    >>> def batches(epoch):
    ...     rng = np.random.default_rng(epoch)
    ...     for begin in rng.permutation(range(0, 60, 20)):
    ...         block, names = np.array(rows[begin : begin + 20]), labels[begin : begin + 20]
    ...         for few in np.split(rng.permutation(20), 2):
    ...             yield block[few], names[few]
    >>> net = MLP(2, [4, 2], "tanh", "linear", seed=0)
    >>> net.class_names = ["cat", "dog"]  # which batches that are yet to come cannot tell
    >>> history = fit(net, batches, loss="cross_entropy", metrics=["accuracy"], epochs=50, progress=False)
    >>> net.predict([[0.0, 0.0], [3.0, 3.0]])
    array(['cat', 'dog'], dtype='<U3')

    Dropout: a network that draws its mask in each call cannot be vectorized, but vectorized=False trains it, and every
    example of every epoch draws anew (validation too). The array program, many times as fast, needs the mask as an
    argument, and a loop of your own; batches are X[batch], Y[batch] with a mask of that length:

    >>> from tinygrad_scalar import Adam, squared_error, vectorize
    >>> net, rng = MLP(2, [8, 1], "tanh", "linear", seed=0), np.random.default_rng(0)
    >>> def cost(x, y, mask):
    ...     hidden = [a * kept for a, kept in zip(net.layers[0](x), mask)]
    ...     return squared_error(net.layers[1](hidden), y)
    >>> run, adam = vectorize(cost, net.parameters()), Adam(net.parameters(), 0.05)
    >>> X = rng.normal(size=(100, 2))
    >>> for _ in range(200):
    ...     mask = (rng.random((100, 8)) < 0.8) / 0.8  # keeps each activation with p = 0.8, and its mean
    ...     value, gradient = run(X, X[:, 0] - X[:, 1], mask)
    ...     run.parameters[:] = adam.stepped(run.parameters, gradient)
    >>> run.write_back()  # now net(x), without a mask, predicts
    >>> round(net([0.5, -0.5]).data, 1)
    1.0
    """
    if not callable(net) or not callable(getattr(net, "parameters", None)):
        raise TypeError(f"net must be callable with an example and have parameters(), as an MLP does; got {shown(net)}")
    evaluate = find_loss(loss)
    optimize = _optimizer_for(net, optimizer)
    epochs = required_integer(epochs, "epochs")
    batch_size = None if batch_size is None else required_integer(batch_size, "batch_size")
    generator = generator_of(seed)
    vectorized = required_flag(vectorized, "vectorized")
    progress = None if progress is None else required_flag(progress, "progress")
    measures = find_metrics(metrics, evaluate)
    listeners, watch = checked_callbacks(callbacks), watch_for(early_stopping)
    listeners += [] if watch is None else [watch]
    factor = find_schedule(schedule)
    ours = row_of(evaluate)
    classes = Classes(net, *(ours or (f"the loss {getattr(evaluate, '__name__', shown(evaluate))}", None)))
    passes = epochs * (1 if validation is not None or not measures else 2)
    source = source_of(X, Y, client, "", batch_size, passes, classes)
    held_out = None
    if validation is not None:
        given = of_validation(validation, len(source.first.X.shape))
        held_out = source_of(*given, None, "validation ", None, epochs, classes)
    rule = gradient_rule(optimize.parameters, l1, l2, clip_norm)
    weights = weights_of(source, sample_weight, class_weight, classes.names or ())
    judged = held_out or source
    examples = source.first
    classes.require_fitting(examples.x, examples.Y, of_text=examples.labels is not None)
    own_names = getattr(net, "input_names", None) or ()
    require_same_columns(examples.columns, "X", own_names, THE_NETWORKS)
    if held_out is not None:
        require_same_columns(held_out.first.columns, "validation X", examples.columns, "X")
    for part in filter(None, (source, held_out)):  # fail now, not in mid-training
        _require_trainable(net, evaluate, optimize, part.first)
    require_measurable(measures, net, judged)
    if isinstance(examples, PartitionedExamples):
        trainer: ScalarTrainer = partition_trainer(net, evaluate, optimize, examples, vectorized, rule, weights)
    else:
        trainer = trainer_for(net, evaluate, optimize, examples, vectorized, rule, weights)
    history = History()
    rate = 0.0 if schedule is None else optimize.learning_rate
    keeper = None
    if checkpoint is not None:
        identity = identity_of(
            net, optimize, evaluate, source, held_out, weights, rule,
            None if schedule is None else (factor, epochs), None if watch is None else watch.rule,
            class_names=classes.names or (), batch_size=batch_size, metrics=list(measures), seed=seed,
            vectorized=vectorized,
        )  # fmt: skip
        course = Course(net, evaluate, examples, epochs, optimize, generator, history, watch)
        keeper = Checkpoint(checkpoint, resume, course, identity)
        history.stopped = keeper.stopped
    elif resume:
        raise ValueError("resume=True goes on from a checkpoint: give its path, as in checkpoint='run.safetensors'")
    classes.keep()
    if examples.columns and isinstance(net, Module):
        net.input_names = examples.columns
    begin = len(history.cost)
    left = range(begin, begin if history.stopped else epochs)
    try:
        with progress_bar(left, progress) as bar:
            for epoch in bar:
                costs: list[tuple[float, int]] = []
                seen = 0
                for batch in source.batches(batch_size, generator, weights, epoch + 1):
                    if schedule is not None:
                        t = epoch + source.done(len(costs), seen)
                        optimize.learning_rate = rate_at(factor, rate, t, epochs)
                    try:
                        costs.append((trainer.step(batch, epoch), len(batch)))
                    except (ValueError, TypeError) as error:
                        trainer.name_row(error, batch.examples, batch.rows, epoch)
                        raise
                    seen += len(batch)
                    if source.first is not source:  # what makes the next batch may look at the network, or change it
                        trainer.publish_parameters()
                measured = judge(trainer, judged, held_out is not None, measures, epoch)
                history.end_epoch(mean_cost(costs), *measured)
                show_costs(bar, history, seen)
                if listeners:
                    trainer.publish()
                    now = _epoch(epochs, history, net, optimize, trainer)
                    answers = [is_true(callback(now)) for callback in listeners]
                    history.stopped = "early" if any(answers) else ""
                if keeper is not None:
                    keeper.write(trainer, history.stopped)
                if history.stopped:
                    break
    except KeyboardInterrupt:
        history.stopped = "interrupted"
        best = None if watch is None or watch.parameters is None else watch.best
        now_has = "what the last step left" if best is None else f"the parameters of epoch {best}, the best"
        warnings.warn(
            f"fit was interrupted after {len(history.cost)} of {epochs} epochs; the network has {now_has}", stacklevel=2
        )
    finally:
        while True:  # Ctrl-C at the very end must not lose what was learnt
            try:
                if watch is not None and watch.parameters is not None:
                    trainer.parameters, history.best_epoch = watch.parameters, watch.best
                if schedule is not None:
                    optimize.learning_rate = rate
                trainer.close()
                break
            except KeyboardInterrupt:
                history.stopped = "interrupted"
    try:
        warn_of_standstill(history.cost, net, evaluate, optimize, examples)
    except KeyboardInterrupt:  # the training was over
        history.stopped = "interrupted"
    return history


def _epoch(epochs: int, history: History, net: Network, optimizer: Optimizer, trainer: ScalarTrainer) -> Epoch:
    return Epoch(
        len(history.cost),
        epochs,
        history.cost[-1],
        history.validation_cost[-1] if history.validation_cost else None,
        {name: numbers[-1] for name, numbers in history.metrics.items()},
        history,
        net,
        optimizer,
        lambda: trainer.parameters,
    )


def _optimizer_for(net: Network, optimizer: str | Optimizer) -> Optimizer:
    """The optimizer itself, or a new one of that name over all of the network's parameters."""
    if isinstance(optimizer, str) and optimizer in OPTIMIZERS:
        return OPTIMIZERS[optimizer](net.parameters())
    if not isinstance(optimizer, Optimizer):
        error = ValueError if isinstance(optimizer, str) else TypeError
        names = ", ".join(OPTIMIZERS)
        raise error(f"optimizer must be one of {names}, or an optimizer over net.parameters(); got {shown(optimizer)}")
    if not set(net.parameters()) & set(optimizer.parameters):
        raise ValueError("the optimizer has none of this network's parameters; make it with net.parameters()")
    return optimizer


def _require_trainable(net: Network, evaluate: LossFunction, optimizer: Optimizer, examples: Examples) -> None:
    """Raise if the outputs depend on no parameter, or if one of our losses refuses them or a target."""
    outputs = net(examples.x[0])
    values = [outputs] if isinstance(outputs, Value) else outputs
    if not isinstance(values, (list, tuple)) or not all(isinstance(value, Value) for value in values):
        raise TypeError(f"a network must return a Value or a list of Values, got {shown(outputs)}")
    parameters = set(optimizer.parameters)
    if not any(parameters.intersection(topological_order(value)) for value in values):
        raise ValueError(
            "the network's output does not depend on any of the optimizer's parameters, so nothing can be learnt: "
            "does .data or a new Value cut its graph somewhere?"
        )
    ours = row_of(evaluate)
    if ours is not None and ours[1].of_numbers:  # any number is a target
        evaluate(outputs, examples.y[0])
    elif ours is not None:
        import numpy as np

        for start in range(0, len(examples), _LOOKED_THROUGH):
            targets = examples.Y[start : start + _LOOKED_THROUGH]
            for i in sorted(np.unique(targets, axis=0, return_index=True)[1].tolist()):  # equal targets once
                try:
                    evaluate(outputs, examples.y[start + i])
                except (ValueError, TypeError) as error:
                    raise placed(error, examples, start + i) from None
