"""A text backbone with a fresh linear head, trained by the one loop; only the tensors that moved are saved."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from core.backbones.text import TextBackbone
from core.backbones.weights import Weights
from core.errors import VerificationError
from core.learners.loop_options import LoopOptions
from core.learners.torch_loop import LoopResult, LoopTask, run_loop, soft_cross_entropy
from core.strategies.base import Strategy
from core.threads import num_threads

PREDICT_BATCH_SIZE = 64


class TextClassifier(nn.Module):
    """(N, C) logits of token ids and mask."""

    def __init__(self, backbone: TextBackbone, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(backbone.feature_dim, num_classes)

    def forward(self, token_ids: Tensor, mask: Tensor) -> Tensor:
        """(N, C) logits."""
        return self.head(self.dropout(self.backbone(token_ids, mask)))


def make_classifier(
    weights: Weights, *, max_length: int, num_classes: int, dropout: float, seed: int
) -> TextClassifier:
    """A classifier with the pretrained backbone and a head drawn from `seed`."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        backbone = TextBackbone.load(weights, max_length=max_length)
        return TextClassifier(backbone, num_classes=num_classes, dropout=dropout)


def train_classifier(
    model: TextClassifier,
    strategy: Strategy,
    options: LoopOptions,
    train: tuple[Sequence[str], np.ndarray, np.ndarray],
    valid: tuple[Sequence[str], np.ndarray, np.ndarray] | None,
    *,
    seed: int,
    checkpoint_folder: Path | None = None,
) -> LoopResult:
    """Train in place.

    train, valid: texts, (N, C) target probabilities (one-hot or soft), (N,) weights.
    """
    backbone = model.backbone
    texts, targets, weights = train
    items = list(zip(backbone.tokenize(texts), targets, weights, strict=True))

    def collate(rows: list) -> dict[str, Tensor]:
        ids, mask = backbone.pad([row[0] for row in rows])
        return {
            "token_ids": ids,
            "mask": mask,
            "targets": torch.as_tensor(np.array([row[1] for row in rows]), dtype=torch.float32),
            "weights": torch.as_tensor(np.array([row[2] for row in rows]), dtype=torch.float32),
        }

    def compute_loss(wrapped: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        logits = wrapped(batch["token_ids"], batch["mask"])
        return soft_cross_entropy(logits, batch["targets"], batch["weights"])

    def validate(wrapped: nn.Module) -> dict[str, float]:
        logits = torch.from_numpy(classify(wrapped, backbone, valid[0]))
        told = (torch.as_tensor(np.asarray(part), dtype=torch.float32) for part in valid[1:])
        return {"valid_log_loss": float(soft_cross_entropy(logits, *told))}

    has_valid = valid is not None and len(valid[0]) > 0
    task = LoopTask(items, collate, compute_loss, validate if has_valid else None, metric="valid_log_loss")
    return run_loop(model, task, strategy, options, seed=seed, checkpoint_folder=checkpoint_folder)


@torch.no_grad()
def classify(model: nn.Module, backbone: TextBackbone, texts: Sequence[str]) -> np.ndarray:
    """(N, C) float32 logits in the order of the texts; `model` may be wrapped by the accelerator."""
    torch.set_num_threads(num_threads())
    token_ids = backbone.tokenize(texts)
    order = np.argsort([-len(ids) for ids in token_ids], kind="stable")
    device = next(backbone.parameters()).device
    logits = []
    for start in range(0, len(order), PREDICT_BATCH_SIZE):
        ids, mask = backbone.pad([token_ids[row] for row in order[start : start + PREDICT_BATCH_SIZE]])
        logits.append(model(ids.to(device), mask.to(device)).float().cpu().numpy())
    result = np.concatenate(logits)
    return result[np.argsort(order)]


def save_moved(model: TextClassifier, moved: Collection[str], path: Path) -> None:
    """The tensors that moved, adapters and head alike."""
    named = dict(model.named_parameters())
    save_file({name: named[name].detach().cpu().contiguous() for name in sorted(moved)}, path)


def load_moved(model: TextClassifier, strategy: Strategy, path: Path) -> frozenset[str]:
    """Give an untrained classifier the tensors of `save_moved`; the names.

    Raises:
        VerificationError: the file and the strategy do not name the same tensors.
    """
    moving = frozenset(name for group in strategy.prepare(model) for name in group.parameters)
    tensors = load_file(path)
    if moving != set(tensors):
        odd = sorted(moving.symmetric_difference(tensors))
        raise VerificationError(
            f"{path} does not fit its options: tensor '{odd[0]}' and {len(odd) - 1} more.",
            repair="Train it again; saved files are not to be edited.",
        )
    named = dict(model.named_parameters())
    with torch.no_grad():
        for name, tensor in tensors.items():
            named[name].copy_(tensor)
    model.eval()
    return moving
