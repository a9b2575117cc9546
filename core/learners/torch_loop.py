"""The one training loop. It runs on one processor as it is, and on many GPUs by `accelerate launch`."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from core.artifacts import to_plain
from core.learners.checkpoints import load_checkpoint, save_checkpoint
from core.learners.loop_options import LoopOptions
from core.learners.optimization import learning_rate_scale, make_optimizer
from core.learners.trackers import start_trackers, usable_trackers
from core.strategies.base import Strategy
from core.threads import num_threads


@dataclass(frozen=True)
class LoopTask:
    """What is learned: items, how a list of them becomes a batch, the loss of a batch, and the validation.

    compute_loss(model, batch) -> scalar. validate(model) -> named metrics; `metric` selects the best epoch.
    """

    items: Sequence[Any]
    collate: Callable[[list[Any]], Any]
    compute_loss: Callable[[nn.Module, Any], Tensor]
    validate: Callable[[nn.Module], Mapping[str, float]] | None = None
    metric: str = ""
    is_higher_better: bool = False


@dataclass(frozen=True)
class LoopResult:
    """history: a row an epoch. moved: names of the parameters that the strategy let move."""

    history: list[dict[str, Any]]
    moved: frozenset[str]


def run_loop(
    model: nn.Module,
    task: LoopTask,
    strategy: Strategy,
    options: LoopOptions,
    *,
    seed: int = 0,
    checkpoint_folder: Path | None = None,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    say: Callable[[str], None] = print,
) -> LoopResult:
    """Train `model` in place; it ends at its best epoch where the task validates, else at its last.

    A `checkpoint_folder` with a checkpoint of the same options, seed and number of items is resumed from; the
    weights at the end are those of a run that was never broken off. `on_epoch` is called after each checkpoint.

    Raises:
        BadParamsError: a tracker is not installed.
    """
    torch.set_num_threads(num_threads())
    with torch.random.fork_rng():  # dropout draws from the global generator, which the caller gets back as it was
        torch.manual_seed(seed)
        run = _Run(model, task, strategy, options, seed, checkpoint_folder, say)
        while not run.is_finished:
            row = run.epoch()
            if on_epoch is not None:
                on_epoch(row)
        return run.finish()


class _Run:
    """The state of one run: everything after epoch e depends on the checkpoint of epoch e and on the seed."""

    def __init__(self, model, task, strategy, options, seed, checkpoint_folder, say) -> None:
        self.task, self.strategy, self.options, self.seed = task, strategy, options, seed
        self.checkpoint_folder, self.say = checkpoint_folder, say
        names = usable_trackers(options.trackers, options.log_folder)
        AcceleratorState._reset_state()  # a process may train twice with different precision
        self.accelerator = Accelerator(
            mixed_precision=options.mixed_precision,
            log_with=names or None,
            project_dir=options.log_folder,
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        groups = strategy.prepare(model)
        self.moving = {name: p for group in groups for name, p in group.parameters.items()}
        for parameter in self.moving.values():  # several processes only share what is free when they are joined
            parameter.requires_grad_(True)
        self.bare_model, self.saved_names = model, frozenset(model.state_dict())
        self.model, self.optimizer = self.accelerator.prepare(model, make_optimizer(groups, options))
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Tensor] = {}
        self._resume()
        start_trackers(self.accelerator, options.log_folder, asdict(options))

    @property
    def is_finished(self) -> bool:
        """All epochs done, or patience lost."""
        num_stale = len(self.history) - 1 - self._best_epoch() if self.history else 0
        has_lost_patience = bool(self.task.validate and 0 < self.options.patience <= num_stale)
        return len(self.history) >= self.options.epochs or has_lost_patience

    def epoch(self) -> dict[str, Any]:
        """One pass over the items, the validation, the checkpoint."""
        epoch, started = len(self.history), time.perf_counter()
        torch.manual_seed(_epoch_seed(self.seed, epoch))
        self.strategy.start_epoch(epoch)
        self.model.train()
        loader = self._loader(epoch)
        total = torch.zeros(())
        for step, batch in enumerate(loader):
            scale = learning_rate_scale(epoch * len(loader) + step, self.options.epochs * len(loader), self.options)
            for group in self.optimizer.param_groups:
                group["lr"] = group["peak_learning_rate"] * scale
            loss = self.task.compute_loss(self.model, batch) + self.strategy.penalty()
            self.accelerator.backward(loss)
            if self.options.clip_norm:
                self.accelerator.clip_grad_norm_(self.model.parameters(), self.options.clip_norm)
            self.optimizer.step()
            self.optimizer.zero_grad()
            total += loss.detach().float().cpu()
        row = {"epoch": epoch, "loss": float(total) / len(loader), "learning_rate": self.options.learning_rate * scale}
        if self.task.validate is not None:
            self.model.eval()
            with torch.no_grad():
                row.update({name: float(value) for name, value in self.task.validate(self.model).items()})
        row["seconds"] = round(time.perf_counter() - started, 3)
        self._keep(row)
        return row

    def finish(self) -> LoopResult:
        """The best epoch's weights and batch statistics back in the model, unwrapped and on the CPU."""
        self.accelerator.end_training()
        model = self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        self._load_moving(self.best)
        model.cpu().eval()
        return LoopResult(self.history, frozenset(self.moving))

    def _loader(self, epoch: int) -> DataLoader:
        """The items in an order that depends on seed and epoch alone."""
        generator = torch.Generator().manual_seed(_epoch_seed(self.seed, epoch))
        order = torch.randperm(len(self.task.items), generator=generator).tolist()
        loader = DataLoader(
            Subset(self.task.items, order),
            batch_size=self.options.batch_size,
            collate_fn=self.task.collate,
            num_workers=0,
        )
        return self.accelerator.prepare_data_loader(loader)

    def _keep(self, row: dict[str, Any]) -> None:
        """History, best weights, trackers, checkpoint, and a line that tells how long is left."""
        self.history.append(row)
        if self.task.validate is None or self._best_epoch() == row["epoch"]:
            self.best = {name: tensor.detach().cpu().clone() for name, tensor in self._state().items()}
        values = {name: value for name, value in row.items() if name != "epoch"}
        self.accelerator.log(values, step=row["epoch"])
        if self.checkpoint_folder is not None and self.accelerator.is_main_process:
            state = {"fingerprint": self._fingerprint(), "history": self.history}
            sections = {"model": self._state(), "best": self.best}
            save_checkpoint(self.checkpoint_folder, sections, self.optimizer, state)
        seconds_left = row["seconds"] * (self.options.epochs - len(self.history))
        metric = f", {self.task.metric} {row[self.task.metric]:.4f}" if self.task.metric in row else ""
        if self.accelerator.is_main_process:
            done = f"epoch {row['epoch'] + 1}/{self.options.epochs}"
            self.say(f"{done}: loss {row['loss']:.4f}{metric}, about {seconds_left:.0f} s left")

    def _best_epoch(self) -> int:
        """Epoch with the best metric; the first of equals; the last one without validation."""
        if self.task.validate is None:
            return len(self.history) - 1
        sign = -1.0 if self.task.is_higher_better else 1.0
        values = [sign * row[self.task.metric] for row in self.history]
        return min(range(len(values)), key=lambda e: math.inf if math.isnan(values[e]) else values[e])

    def _fingerprint(self) -> str:
        """What a checkpoint must agree in to be resumed."""
        shapes = {name: list(parameter.shape) for name, parameter in self.moving.items()}
        told = asdict(self.options) | {"log_folder": None, "trackers": None}
        strategy = [type(self.strategy).__name__, asdict(self.strategy.options)]
        key = json.dumps(to_plain([told, strategy, self.seed, len(self.task.items), shapes]))
        return hashlib.sha256(key.encode()).hexdigest()

    def _resume(self) -> None:
        """Take up a checkpoint of this very run."""
        found = load_checkpoint(self.checkpoint_folder) if self.checkpoint_folder is not None else None
        if found is None:
            return
        sections, state = found
        if state["fingerprint"] != self._fingerprint():
            self.say(f"{self.checkpoint_folder} is of a run with other options; it starts anew.")
            return
        self._load_moving(sections["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history, self.best = state["history"], sections["best"]
        self.say(f"resumed after epoch {len(self.history)}/{self.options.epochs}")

    def _load_moving(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy tensors into the parameters and buffers of the same names."""
        with torch.no_grad():
            for name, tensor in self._state().items():
                tensor.copy_(tensors[name])

    def _state(self) -> dict[str, Tensor]:
        """What a run changes: the parameters that move, and all buffers that a saved model has."""
        buffers = dict(self.bare_model.named_buffers())  # looked up each time: to move a model replaces its buffers
        return {**self.moving, **{name: buffer for name, buffer in buffers.items() if name in self.saved_names}}


def soft_cross_entropy(logits: Tensor, target_probability: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of -sum_c p_c log q_c; rows of (N, C) targets are one-hot or soft, weights (N,) >= 0."""
    losses = -(target_probability * torch.log_softmax(logits, dim=1)).sum(dim=1)
    return (weights * losses).sum() / weights.sum().clamp(min=1e-12)


def _epoch_seed(seed: int, epoch: int) -> int:
    """A seed of its own for every epoch."""
    return (seed * 1_000_003 + epoch + 1) % (2**63)
