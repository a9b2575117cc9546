"""Training and running the sequence network: the shared loop and the shared strategies, on windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from core.forecasting.sequence_network import SequenceNetwork, qlike_of_logs
from core.forecasting.windows import Windows
from core.learners.loop_options import LoopOptions
from core.learners.torch_loop import LoopTask, run_loop
from core.strategies import STRATEGIES

if TYPE_CHECKING:
    from core.forecasting.network_forecaster import NetworkOptions

SOURCE_BATCH_SIZE = 256
ROWS_AT_ONCE = 4096


def train_network(
    network: SequenceNetwork,
    rows: Windows,
    judge: Windows | None,
    strategy: str,
    options: NetworkOptions,
    *,
    reach: int,
    seed: int,
    is_source: bool,
) -> SequenceNetwork:
    """Train in place. `judge`: the target's windows; their end chooses the epoch and is taken out of the teaching.

    reach: days of the longest horizon.

    rows must end with the windows of `judge` where it is given.
    """
    taught, held = rows, None
    if judge is not None:
        taught, held = hold_out(rows, len(judge), options.held_out, reach=reach)
    inputs = tensors_of(taught)
    task = LoopTask(
        items=range(len(taught)),
        collate=lambda chosen: [tensor[chosen] for tensor in inputs],
        compute_loss=lambda model, batch: qlike_of_logs(model(*batch[:3]), batch[3]),
        validate=None if held is None else lambda model: {"qlike": mean_qlike(model, held)},
        metric="qlike",
    )
    loop = LoopOptions(
        epochs=options.source_epochs if is_source else options.epochs,
        batch_size=SOURCE_BATCH_SIZE if is_source else options.batch_size,
        learning_rate=options.source_learning_rate if is_source else options.learning_rate,
        weight_decay=options.weight_decay,
        schedule="cosine",
        patience=0,
        trackers=(),
    )
    chosen = STRATEGIES[strategy](options.strategy_options.get(strategy))
    run_loop(network, task, chosen, loop, seed=seed, say=lambda line: None)
    return network


def hold_out(rows: Windows, num_own: int, share: float, *, reach: int) -> tuple[Windows, Windows]:
    """(teaching, held out): the last `share` of the last `num_own` rows; what reaches into them does not teach.

    reach: days of the longest horizon; a row whose target reaches beyond the first held origin is in neither.
    """
    num_held = max(round(num_own * share), 1)
    cut = len(rows) - num_held
    first_held_row = rows.rows[cut]
    own = np.arange(len(rows)) >= len(rows) - num_own
    is_clear = ~own | (rows.rows + reach <= first_held_row)
    is_taught = is_clear & (np.arange(len(rows)) < cut)
    return rows.take(np.flatnonzero(is_taught)), rows.take(np.arange(cut, len(rows)))


def tensors_of(rows: Windows) -> list[Tensor]:
    """days, statics, base, targets."""
    return [torch.from_numpy(np.ascontiguousarray(part)) for part in (rows.days, rows.statics, rows.base, rows.targets)]


def as_tensor(values: np.ndarray) -> Tensor:
    """A tensor of its own memory."""
    return torch.from_numpy(np.array(values))


def mean_qlike(network: SequenceNetwork, rows: Windows) -> float:
    """Of the known targets."""
    with torch.no_grad():
        days, statics, base, targets = tensors_of(rows)
        return float(qlike_of_logs(network(days, statics, base), targets))


def log_variances(network: SequenceNetwork, rows: Windows) -> np.ndarray:
    """(N, H) log variances in multiples of the scale."""
    parts = []
    with torch.no_grad():
        for start in range(0, len(rows), ROWS_AT_ONCE):
            days, statics, base, _ = tensors_of(rows.take(np.arange(start, min(start + ROWS_AT_ONCE, len(rows)))))
            parts.append(network(days, statics, base).double().numpy())
    return np.concatenate(parts)
