"""The text encoder reads source and target texts, without labels, before it learns the target's labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from core.artifacts import to_plain
from core.backbones.weights import resolve_weights
from core.data.feature_cache import cache_root
from core.data.samples import Samples
from core.errors import BadParamsError
from core.learners.base import LEARNERS, Learner
from core.learners.masked_language_model import REPORT, PretrainingOptions, continue_pretraining
from core.learners.text_encoder import TextEncoder, TextEncoderOptions
from core.learners.text_fusion import TextFusion
from core.learners.text_inputs import text_columns, texts_of
from core.params import parse_section
from core.transfers.base import TRANSFERS, Transfer, TransferTask
from core.transfers.source_fits import usable_valid


@TRANSFERS.register("continued_pretraining")
class ContinuedPretraining(Transfer):
    """Masked-language-model training on all training texts, labelled or not, then the learner on the target's labels.

    The encoder is kept in the cache folder, under a name that its texts, options and seed decide, so that folds and
    draws share it; a saved learner holds a copy of its own. Validation and test texts are not read.

    Source: Gururangan et al. 2020, "Don't stop pretraining", sections 3 and 4.
    """

    needs_source = False
    learns_unlabelled = True

    def __init__(self, options: Mapping[str, Any] | None = None, *, folder: Path | None = None) -> None:
        """options: those of `PretrainingOptions`. folder: where encoders are kept, instead of the cache folder."""
        self.options = parse_section(PretrainingOptions, options or {}, where="pretraining options")
        self.is_length_told = "max_length" in (options or {})
        self.folder = folder

    def fit(self, task: TransferTask) -> Learner:
        """The learner with the further pre-trained encoder, fitted on the labelled target rows.

        Raises:
            BadParamsError: the learner reads no text, no text column, no labelled target row, or not two classes.
            BadInputError: fewer than two distinct texts.
        """
        kind = task.make_learner()
        told = text_options(kind)
        texts = [text for part in (task.source, task.target) for text in _texts(part, told) if text]
        folder = self._pretrain(texts, told, task.seed)
        learner = _with_encoder(kind, folder)
        return learner.fit(task.target.labelled(), usable_valid(task))

    def _pretrain(self, texts: list[str], told: TextEncoderOptions, seed: int) -> Path:
        """The folder of the encoder; one that was made of the same is taken as it is."""
        backbone = told.pretrained_folder or told.backbone
        options = self.options if self.is_length_told else replace(self.options, max_length=max(8, told.max_length))
        training = asdict(options.training) | {"log_folder": None, "trackers": None}
        key = {
            "backbone": resolve_weights(backbone).sha256,
            "options": asdict(options) | {"training": training},
            "seed": seed,
            "texts": sorted(set(texts)),
        }
        digest = hashlib.sha256(json.dumps(to_plain(key)).encode()).hexdigest()[:16]
        folder = (self.folder or cache_root() / "pretrained") / digest
        if not (folder / REPORT).exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            continue_pretraining(texts, backbone, folder, options, seed=seed)
        return folder


def text_options(learner: Learner) -> TextEncoderOptions:
    """The options of the learner's text encoder.

    Raises:
        BadParamsError: it has none.
    """
    if isinstance(learner, TextEncoder):
        return learner.options
    if isinstance(learner, TextFusion):
        return TextEncoder(learner.options.text).options
    raise BadParamsError(
        f"Learner '{LEARNERS.name_of(type(learner))}' has no text encoder to pre-train.",
        repair="With continued_pretraining choose text_encoder or text_fusion.",
    )


def _with_encoder(learner: Learner, folder: Path) -> Learner:
    """An unfitted learner of the same options with another encoder."""
    if isinstance(learner, TextEncoder):
        options = replace(learner.options, pretrained_folder=str(folder))
    else:
        options = replace(learner.options, text={**learner.options.text, "pretrained_folder": str(folder)})
    return type(learner)(options, seed=learner.seed)


def _texts(samples: Samples, told: TextEncoderOptions) -> list[str]:
    """What the encoder will read of each row."""
    if not len(samples):
        return []
    names = text_columns(samples) if told.input == "text" else []
    if told.columns == "joined":
        return texts_of(samples, told.input, names)
    return [text for name in names for text in texts_of(samples, told.input, [name])]
