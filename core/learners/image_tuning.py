"""An image model trained by the one loop: batches, their loss, and the statistics of the best epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.learners.adversarial_step import PictureScale, fast_perturbed
from core.learners.image_augmentation import mixup
from core.learners.image_inputs import ImageInputs
from core.learners.image_losses import balanced_batch, balanced_class_weights, focal_loss, prior_log_odds
from core.learners.image_model import ImageModel, statistics_of
from core.learners.image_tuning_options import TuningRecipe
from core.learners.loop_options import LoopOptions
from core.learners.torch_loop import LoopResult, LoopTask, run_loop, soft_cross_entropy
from core.strategies.base import STRATEGIES, ParameterGroup, Strategy
from core.threads import num_threads

PREDICT_BATCH_SIZE = 32


@dataclass(frozen=True)
class TuningRows:
    """Rows to learn from: inputs of N pictures, (N, C) target probabilities, (N,) weights."""

    inputs: ImageInputs
    target_probability: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class _Told:
    """What a checkpoint must agree in."""

    strategy: str
    options: Any
    recipe: TuningRecipe


class PreparedStrategy(Strategy):
    """A strategy whose `prepare` was called before the loop, so that its frozen stages are known by then."""

    def __init__(self, strategy: Strategy, groups: list[ParameterGroup], recipe: TuningRecipe) -> None:
        self.strategy, self.groups = strategy, groups
        self.options = _Told(STRATEGIES.name_of(type(strategy)), asdict(strategy.options), recipe)

    def prepare(self, model: nn.Module) -> list[ParameterGroup]:
        """The groups, as they were prepared."""
        return self.groups

    def start_epoch(self, epoch: int) -> None:
        """As the strategy."""
        self.strategy.start_epoch(epoch)

    def penalty(self) -> Tensor | float:
        """As the strategy."""
        return self.strategy.penalty()


def tune(
    model: ImageModel,
    strategy: Strategy,
    groups: list[ParameterGroup],
    options: LoopOptions,
    recipe: TuningRecipe,
    train: TuningRows,
    valid: TuningRows | None,
    *,
    seed: int,
    checkpoint_folder: Path | None = None,
) -> LoopResult:
    """Train a model that `strategy` has prepared, in place; it ends at its best epoch, batch statistics included."""
    has_valid = valid is not None and len(valid.weights) > 0
    log_odds = prior_to_restore(recipe, train)
    best: dict[str, Any] = {"loss": float("inf"), "statistics": None}
    start = train.inputs.start

    attack = _attack(model, recipe, train)

    def loss_of(wrapped: nn.Module, inputs: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        logits = wrapped(inputs, start)
        if recipe.loss == "focal":
            return focal_loss(logits, batch["targets"], batch["weights"], gamma=recipe.focal_gamma)
        return soft_cross_entropy(logits, batch["targets"], batch["weights"])

    def compute_loss(wrapped: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        inputs = batch["inputs"]
        if attack is not None:
            inputs = attack(lambda changed: loss_of(wrapped, changed, batch), inputs)
        return loss_of(wrapped, inputs, batch)

    def validate(wrapped: nn.Module) -> dict[str, float]:
        logits = score(wrapped, valid.inputs, num_views=1)
        logits[:, 1] += log_odds
        parts = (logits, valid.target_probability, valid.weights)
        loss = float(soft_cross_entropy(*(torch.as_tensor(part, dtype=torch.float32) for part in parts)))
        if loss < best["loss"]:  # the loop brings back the best parameters; these are the buffers that belong to them
            best.update(loss=loss, statistics=statistics_of(model))
        return {"valid_log_loss": loss}

    task = LoopTask(
        range(len(train.weights)),
        _collate(train, recipe),
        compute_loss,
        validate if has_valid else None,
        metric="valid_log_loss",
    )
    prepared = PreparedStrategy(strategy, groups, recipe)
    result = run_loop(model, task, prepared, options, seed=seed, checkpoint_folder=checkpoint_folder)
    is_of_best_epoch = has_valid and best["loss"] == min(row["valid_log_loss"] for row in result.history)
    if is_of_best_epoch and best["statistics"] is not None:  # not so where the best epoch was before a resumption
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                if name in best["statistics"]:
                    buffer.copy_(best["statistics"][name])
    return result


def _attack(
    model: ImageModel, recipe: TuningRecipe, train: TuningRows
) -> Callable[[Callable[[Tensor], Tensor], Tensor], Tensor] | None:
    """(loss of inputs, inputs) to inputs changed against the model; None where the recipe asks for no such thing."""
    if not recipe.adversarial_epsilon:
        return None
    is_grey = train.inputs.images[0].pixels.shape[2] == 1
    scale = PictureScale(model.backbone.normalise, is_grey=is_grey)

    def change(loss_of: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
        changed = fast_perturbed(
            lambda grey: loss_of(scale.to_inputs(grey)), scale.to_grey(inputs), recipe.adversarial_epsilon, generator
        )
        return scale.to_inputs(changed)

    return change


def prior_to_restore(recipe: TuningRecipe, train: TuningRows) -> float:
    """Log-odds to add to those of a model that saw balanced classes; 0 where it saw them as they are."""
    return 0.0 if recipe.class_balance == "none" else prior_log_odds(train.target_probability, train.weights)


@torch.no_grad()
def score(model: nn.Module, inputs: ImageInputs, *, num_views: int | None = None) -> np.ndarray:
    """(N, C) float32 logits, the mean over views; `model`, wrapped or not, is in inference mode."""
    torch.set_num_threads(num_threads())
    device = next(model.parameters()).device
    logits = []
    for first in range(0, len(inputs), PREDICT_BATCH_SIZE):
        rows = range(first, min(first + PREDICT_BATCH_SIZE, len(inputs)))
        seen = [
            model(inputs.view(rows, index).to(device), inputs.start).float().cpu()
            for index in range(num_views or inputs.num_views)
        ]
        logits.append(torch.stack(seen).mean(dim=0))
    return torch.cat(logits).numpy() if logits else np.zeros((0, 2), dtype=np.float32)


def _collate(train: TuningRows, recipe: TuningRecipe) -> Any:
    """Positions of rows to a batch; what is drawn depends on torch's global generator, which the loop seeds."""
    classes = train.target_probability.argmax(axis=1)
    targets, weights = train.target_probability, train.weights / train.weights.mean()
    if recipe.class_balance == "weights":
        weights = weights * (targets @ balanced_class_weights(targets, weights))

    def collate(rows: Sequence[int]) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
        rows = np.asarray(rows)
        if recipe.class_balance == "batches":
            rows = balanced_batch(classes, len(rows), generator)
        if len(rows) == 1:
            rows = np.repeat(rows, 2)  # batch statistics of a single small map do not exist
        inputs, mixed_targets, mixed_weights = mixup(
            train.inputs.draw(rows, generator),
            torch.as_tensor(targets[rows], dtype=torch.float32),
            torch.as_tensor(weights[rows], dtype=torch.float32),
            alpha=recipe.mixup_alpha,
            generator=generator,
        )
        return {"inputs": inputs, "targets": mixed_targets, "weights": mixed_weights}

    return collate
