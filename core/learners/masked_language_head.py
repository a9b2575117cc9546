"""The masked language model itself: masking, a head tied to the word embeddings, and its run of the loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.backbones.text import TextBackbone
from core.backbones.weights import Weights
from core.learners.masked_language_model import PretrainingOptions
from core.learners.torch_loop import LoopTask, run_loop
from core.strategies.lp_ft import LpFt

IGNORED = -100
VALID_SEED = 20190602  # validation masks the same tokens after every epoch


class _TiedHead(nn.Module):
    """Dense, GELU, layer norm; the words' own embeddings decode, with a bias of their own."""

    def __init__(self, hidden_size: int, vocabulary_size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden_size, hidden_size)
        self.norm = nn.LayerNorm(hidden_size)
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))

    def forward(self, hidden: Tensor, word_embeddings: Tensor) -> Tensor:
        """(M, V) logits of (M, D) states."""
        return self.norm(nn.functional.gelu(self.dense(hidden))) @ word_embeddings.T + self.bias


class MaskedLanguageModel(nn.Module):
    """A text backbone that guesses words."""

    def __init__(self, backbone: TextBackbone) -> None:
        super().__init__()
        self.backbone = backbone
        words = backbone.encoder.get_input_embeddings().weight
        self.head = _TiedHead(words.shape[1], words.shape[0])

    def forward(self, token_ids: Tensor, mask: Tensor, guessed: Tensor) -> Tensor:
        """(M, V) logits of the M places where `guessed` (N, L) is true."""
        states = self.backbone.hidden(token_ids, mask)[guessed]
        return self.head(states, self.backbone.encoder.get_input_embeddings().weight)


def mask_tokens(
    token_ids: Tensor,
    is_fixed: Tensor,
    *,
    mask_id: int,
    vocabulary_size: int,
    mask_fraction: float,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """(N, L) ids with places hidden, and (N, L) labels: the true id there, IGNORED elsewhere.

    Of the chosen places 80 % become the mask token, 10 % a random token, 10 % stay; fixed places are never chosen.

    Source: Devlin et al. 2019, "BERT", section 3.1.
    """
    chosen = (torch.rand(token_ids.shape, generator=generator) < mask_fraction) & ~is_fixed
    labels = torch.where(chosen, token_ids, IGNORED)
    fate = torch.rand(token_ids.shape, generator=generator)
    random_ids = torch.randint(vocabulary_size, token_ids.shape, generator=generator)
    hidden = torch.where(chosen & (fate < 0.8), mask_id, token_ids)
    return torch.where(chosen & (fate >= 0.8) & (fate < 0.9), random_ids, hidden), labels


def pretrain(
    weights: Weights,
    train: Sequence[str],
    valid: Sequence[str],
    options: PretrainingOptions,
    *,
    seed: int,
    checkpoint_folder: Path,
    on_epoch: Callable[[dict[str, Any]], None] | None,
) -> tuple[MaskedLanguageModel, dict[str, float], list[dict[str, Any]]]:
    """The model at its best epoch, its held-out losses (nats a guessed token) and the history."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = MaskedLanguageModel(TextBackbone.load(weights, max_length=options.max_length))
    backbone = model.backbone
    tokenizer = backbone.tokenizer
    fixed_ids = torch.tensor(tokenizer.all_special_ids)
    held = backbone.tokenize(valid)

    def collate(rows: list[list[int]], generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        ids, mask = backbone.pad(rows)
        hidden, labels = mask_tokens(
            ids,
            torch.isin(ids, fixed_ids) | (mask == 0),
            mask_id=tokenizer.mask_token_id,
            vocabulary_size=len(model.head.bias),
            mask_fraction=options.mask_fraction,
            generator=generator,
        )
        return hidden, mask, labels

    def compute_loss(wrapped: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        hidden, mask, labels = batch
        guessed = labels != IGNORED
        logits = wrapped(hidden, mask, guessed)
        total = nn.functional.cross_entropy(logits.float(), labels[guessed], reduction="sum")
        return total / guessed.sum().clamp(min=1)

    def validate(wrapped: nn.Module) -> dict[str, float]:
        generator = torch.Generator().manual_seed(VALID_SEED)
        device = next(backbone.parameters()).device
        total, num_guessed = 0.0, 0
        for start in range(0, len(held), options.training.batch_size):
            batch = collate(held[start : start + options.training.batch_size], generator)
            count = int((batch[2] != IGNORED).sum())
            total += count * float(compute_loss(wrapped, tuple(part.to(device) for part in batch)))
            num_guessed += count
        return {"valid_loss": total / num_guessed if num_guessed else math.nan}

    model.eval()
    with torch.no_grad():
        before = validate(model)["valid_loss"]
    task = LoopTask(backbone.tokenize(train), collate, compute_loss, validate, metric="valid_loss")
    result = run_loop(
        model,
        task,
        LpFt({"head_epochs": options.head_epochs}),
        options.training,
        seed=seed,
        checkpoint_folder=checkpoint_folder,
        on_epoch=on_epoch,
    )
    losses = [row["valid_loss"] for row in result.history]
    head_only = losses[min(options.head_epochs, len(losses)) - 1]
    known = [loss for loss in losses if not math.isnan(loss)]
    told = {"loss_before": before, "loss_head_only": head_only, "loss_after": min(known, default=math.nan)}
    return model, told, result.history
