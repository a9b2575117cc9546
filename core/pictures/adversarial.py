"""How little must change in a picture for the model to err: FGSM and PGD on the float path of its graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core.data.samples import Samples
from core.errors import BadParamsError
from core.evaluation.metrics import METRICS
from core.images.image import images_of, stack_pixels
from core.learners.scoring_model import ScoringModel
from core.pictures.localising import choose_rows

if TYPE_CHECKING:
    from torch import Tensor, nn

EPSILONS_GREY = (0.5, 1.0, 2.0, 4.0)  # of 255
PGD_STEPS = 7
STEP_FACTOR = 2.5  # a step is so many times eps / steps, so that the border can be reached and walked along
BATCH_SIZE = 8

Attack = Callable[["nn.Module", "Tensor", "Tensor", float, int], "Tensor"]


def fgsm(logits: nn.Module, pixels: Tensor, targets: Tensor, eps_grey: float, seed: int = 0) -> Tensor:
    """x + eps sign(dJ/dx), cut to 0..255; J is the log loss. seed is not read.

    Shape: pixels (N, S, S, C) float grey values, targets (N,) 0 or 1; `logits` maps pixels to (N,) log-odds of class 1.

    Source: Goodfellow, Shlens & Szegedy 2015, "Explaining and harnessing adversarial examples", section 4.
    """
    return (pixels + eps_grey * _ascent(logits, pixels, targets)).clamp(0.0, 255.0)


def pgd(
    logits: nn.Module,
    pixels: Tensor,
    targets: Tensor,
    eps_grey: float,
    seed: int = 0,
    *,
    num_steps: int = PGD_STEPS,
) -> Tensor:
    """x <- P(x + a sign(dJ/dx)) from a drawn point; P: onto the eps cube around the picture, and onto 0..255.

    Shape: as `fgsm`. a = 2.5 eps / num_steps.

    Source: Madry et al. 2018, "Towards deep learning models resistant to adversarial attacks", section 2.1.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    noise = 2.0 * torch.rand(pixels.shape, generator=generator) - 1.0
    low, high = (pixels - eps_grey).clamp(min=0.0), (pixels + eps_grey).clamp(max=255.0)
    changed = torch.clamp(pixels + eps_grey * noise, low, high)
    for _ in range(num_steps):
        step = STEP_FACTOR * eps_grey / num_steps * _ascent(logits, changed, targets)
        changed = torch.clamp(changed + step, low, high)
    return changed


ATTACKS: dict[str, Attack] = {"fgsm": fgsm, "pgd": pgd}


def adversarial_table(model: ScoringModel, samples: Samples, num_rows: int, *, seed: int = 0) -> pd.DataFrame:
    """AUC, sensitivity, specificity and flipped decisions of at most `num_rows` labelled rows under each attack.

    Columns: attack, eps_grey (largest change of a grey value, of 255), rows, auc, sensitivity, specificity, flips,
    mean_change (of the probability, towards the wrong class). The first line is of the pictures as they are. Changed
    pixels are not rounded to bytes: it is the network that is tested, and half a grey value would be rounded away.

    Raises:
        BadParamsError: the learner has no graph with gradients.
    """
    import torch

    from core.pictures.onnx_files import build_module

    rows = choose_rows(samples, num_rows, seed=seed)
    chosen = samples.take(rows)
    module = build_module(model)
    _keep_slopes_finite(module.logits)
    pixels = torch.from_numpy(stack_pixels(images_of(chosen))).float()
    targets = torch.from_numpy(chosen.targets.astype(np.float64))
    plain = _probability(module, pixels)
    lines = [_line("none", 0.0, plain, plain, chosen.targets, model.threshold)]
    for name, attack in ATTACKS.items():
        for eps_grey in EPSILONS_GREY:
            parts = [
                attack(module.logits, pixels[start : start + BATCH_SIZE], targets[start : start + BATCH_SIZE],
                       eps_grey, seed + start)
                for start in range(0, len(pixels), BATCH_SIZE)
            ]  # fmt: skip
            changed = _probability(module, torch.cat(parts))
            lines.append(_line(name, eps_grey, changed, plain, chosen.targets, model.threshold))
    return pd.DataFrame(lines)


def _ascent(logits: nn.Module, pixels: Tensor, targets: Tensor) -> Tensor:
    """(N, S, S, C) signs of the log loss's derivative by the pixels.

    Raises:
        BadParamsError: no gradient comes through, or none that is a number.
    """
    import torch

    moved = pixels.detach().clone().requires_grad_(True)
    found = logits(moved).double()
    loss = torch.nn.functional.softplus(torch.where(targets > 0.5, -found, found)).sum()
    if not loss.requires_grad:
        raise BadParamsError("The learner's graph lets no gradient through to the pixels.")
    slopes = torch.autograd.grad(loss, moved)[0]
    if not torch.isfinite(slopes).all():
        raise BadParamsError("The gradient by the pixels is not finite: a descriptor has no slope at 0.")
    return slopes.sign()


def _keep_slopes_finite(logits: nn.Module) -> None:
    """A dead channel's signed root or deviation has no slope at 0; it must not spoil the pixels of all others."""
    import torch

    describe = getattr(logits, "_describe", None)
    if describe is None:
        return

    def described(pixels: Tensor) -> Tensor:
        values = describe(pixels)
        if values.requires_grad:
            values.register_hook(lambda slopes: torch.nan_to_num(slopes, nan=0.0, posinf=0.0, neginf=0.0))
        return values

    logits._describe = described


def _probability(module: nn.Module, pixels: Tensor) -> np.ndarray:
    """(N,) calibrated probability of class 1."""
    import torch

    with torch.no_grad():
        parts = [module(pixels[start : start + BATCH_SIZE]) for start in range(0, len(pixels), BATCH_SIZE)]
    return torch.cat(parts).double().numpy()


def _line(
    name: str, eps_grey: float, probability: np.ndarray, plain: np.ndarray, targets: np.ndarray, threshold: float
) -> dict[str, Any]:
    is_positive, called = targets == 1, probability >= threshold
    auc = np.nan
    if 0 < is_positive.sum() < len(is_positive):
        columns = np.column_stack([1 - probability, probability]).clip(0.0, 1.0)
        auc = METRICS["auc"].function(targets, columns, 1)
    return {
        "attack": name,
        "eps_grey": eps_grey,
        "rows": len(targets),
        "auc": auc,
        "sensitivity": float(called[is_positive].mean()) if is_positive.any() else np.nan,
        "specificity": float((~called)[~is_positive].mean()) if (~is_positive).any() else np.nan,
        "flips": float((called != (plain >= threshold)).mean()),
        "mean_change": float(np.where(is_positive, plain - probability, probability - plain).mean()),
    }
