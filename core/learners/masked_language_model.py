"""Continued pre-training of a text encoder on unlabelled texts of its new field (masked language model)."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.artifacts import replacing_folder, write_json
from core.backbones.weights import resolve_weights
from core.errors import BadInputError
from core.learners.loop_options import LoopOptions
from core.params import STRICT, parse_section

if TYPE_CHECKING:
    from core.learners.masked_language_head import MaskedLanguageModel

REPORT = "pretraining.json"


@dataclass(frozen=True, config=STRICT)
class PretrainingOptions:
    """mask_fraction: share of tokens to be guessed. head_epochs: epochs in which only the fresh head moves.

    valid_fraction: share of texts held out to measure the loss and to keep the best epoch. max_texts: at most so
    many texts are used, so that a run on a processor ends.
    """

    max_length: int = Field(default=96, ge=8, le=8192)
    mask_fraction: float = Field(default=0.15, gt=0.0, lt=1.0)
    head_epochs: int = Field(default=1, ge=1)
    valid_fraction: float = Field(default=0.1, gt=0.0, lt=0.5)
    max_texts: int = Field(default=20_000, ge=10)
    training: LoopOptions = Field(
        default_factory=lambda: LoopOptions(epochs=3, learning_rate=1e-4, mixed_precision="no", patience=0)
    )


def continue_pretraining(
    texts: Sequence[str],
    backbone: str,
    folder: Path,
    options: Mapping[str, Any] | PretrainingOptions | None = None,
    *,
    seed: int = 0,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Pre-train further and write encoder and tokenizer to `folder`, which `pretrained_folder` then names.

    The fresh head starts with its own epochs, so `loss_before` (the encoder as it came, head untrained) is near
    ln(vocabulary); `loss_head_only` is the fair start to compare `loss_after` with. A run broken off is resumed from
    `<folder>.checkpoints`.

    Source: Devlin et al. 2019, "BERT", section 3.1 and appendix C.2; Gururangan et al. 2020, "Don't stop
    pretraining".

    Raises:
        BadInputError: fewer than two distinct texts.
        BadParamsError, MissingArtifactError, OfflineError, VerificationError: options or backbone.
    """
    from core.learners.masked_language_head import pretrain

    if not isinstance(options, PretrainingOptions):
        options = parse_section(PretrainingOptions, options or {}, where="pretraining options")
    folder = Path(folder)
    train, valid = _split(texts, options)
    weights = resolve_weights(backbone)
    checkpoints = folder.with_name(folder.name + ".checkpoints")
    model, losses, history = pretrain(
        weights, train, valid, options, seed=seed, checkpoint_folder=checkpoints, on_epoch=on_epoch
    )
    report = {
        **losses,
        "num_texts": len(train) + len(valid),
        "backbone": backbone,
        "backbone_sha256": weights.sha256,
        "history": history,
    }
    _save(model, folder, report)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return report


def _split(texts: Sequence[str], options: PretrainingOptions) -> tuple[list[str], list[str]]:
    """Distinct texts, in an order that only their content decides; the held-out ones first."""
    distinct = {text.strip() for text in texts if text and text.strip()}
    if len(distinct) < 2:
        raise BadInputError(
            f"Continued pre-training needs texts; got {len(distinct)} distinct ones.",
            repair="Import a domain with a free-text column.",
        )
    ordered = sorted(distinct, key=lambda text: hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    ordered = ordered[: options.max_texts]
    num_valid = max(1, round(options.valid_fraction * len(ordered)))
    return ordered[num_valid:], ordered[:num_valid]


def _save(model: MaskedLanguageModel, folder: Path, report: Mapping[str, Any]) -> None:
    """Encoder, tokenizer and report; plain files, whole or not at all."""
    with replacing_folder(folder) as temporary:
        model.backbone.encoder.save_pretrained(temporary)
        model.backbone.tokenizer.save_pretrained(temporary)
        write_json(temporary / REPORT, report)
