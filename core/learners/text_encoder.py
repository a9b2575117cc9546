"""A pretrained text encoder as a learner: frozen with a logistic head, or fine-tuned by a strategy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field
from pydantic.dataclasses import dataclass
from safetensors.numpy import load_file, save_file
from scipy.special import logit

from core.artifacts import read_json, write_json
from core.backbones.weights import resolve_weights
from core.data.samples import Samples
from core.errors import BadParamsError, VerificationError
from core.learners.base import LEARNERS
from core.learners.binary_table import BinaryTableLearner, check_binary
from core.learners.centred_ridge import fit_centred_ridge
from core.learners.loop_options import LoopOptions
from core.learners.strength_choice import choose_strength
from core.learners.text_embeddings import TextEmbedder, load_weights_reference, save_weights_reference
from core.learners.text_inputs import TextInput, text_columns, texts_of
from core.params import STRICT
from core.strategies import STRATEGIES

STRENGTHS = (30000.0, 10000.0, 3000.0, 1000.0, 300.0, 100.0, 30.0, 10.0, 3.0)  # 384 columns need strong ones
FEW_LABELS_STRENGTH = 3000.0
BASE_RATE_PRIOR_ROWS = 20.0  # the rate of rows without text is drawn to the overall rate by this many rows
STATE, ARRAYS, TENSORS = "text_encoder.json", "probe.safetensors", "moved.safetensors"


@dataclass(frozen=True, config=STRICT)
class TextEncoderOptions:
    """backbone: `minilm_l6`, a folder, or a hub id. pretrained_folder: a further pre-trained one, used instead.

    input: the free-text features, or the whole row told as a sentence. strategy: `linear_probe` caches embeddings and
    fits a logistic head; the others (`full`, `lora`, ...) run the training loop.
    columns: several free texts are `joined` into one, or the probe reads an embedding of each, `separate`; a row's
    missing one then counts as typical. strength: L2 penalty of the probe, `auto` by inner folds.
    max_length: tokens a text. dropout: before the head, while training. checkpoint_folder: resume from there.
    """

    backbone: str = "minilm_l6"
    pretrained_folder: str | None = None
    input: TextInput = "text"
    columns: Literal["joined", "separate"] = "joined"
    strength: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    strategy: str = "linear_probe"
    strategy_options: Mapping[str, Any] = Field(default_factory=dict)
    max_length: int = Field(default=128, ge=4, le=8192)
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    training: LoopOptions = Field(default_factory=LoopOptions)
    checkpoint_folder: str | None = None
    num_folds: int = Field(default=5, ge=2)
    large_num_rows: int = Field(default=10_000, ge=100)  # from here on, one inner fold decides instead of all


@LEARNERS.register("text_encoder")
class TextEncoder(BinaryTableLearner):
    """Rows without any text get the training base rate of such rows, never the encoding of an empty text.

    Fitted state: `weights_`, `names_` (text columns), `base_logit_`, `typical_logit_`, `history_`, and the head:
    `probe_` (centre, scale, coefficients) or `model_` with `moved_`; neither where texts told of one class only.
    """

    Options = TextEncoderOptions
    needs_torch = True

    def __init__(self, options: Mapping[str, Any] | Any | None = None, *, seed: int = 0) -> None:
        super().__init__(options, seed=seed)
        STRATEGIES[self.options.strategy](self.options.strategy_options)  # a typo stops before any work
        is_probe_of_texts = self.options.strategy == "linear_probe" and self.options.input == "text"
        if self.options.columns == "separate" and not is_probe_of_texts:
            raise BadParamsError(
                "Separate columns are read by the linear probe on free texts only.",
                repair="Leave out columns, or choose strategy 'linear_probe' and input 'text'.",
            )
        self.probe_: dict[str, np.ndarray] | None = None
        self.model_, self.moved_ = None, frozenset()
        self.history_: list[dict[str, Any]] = []

    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Fit on the labelled rows; `valid` stops fine-tuning early and is not read by the linear probe.

        Raises:
            BadParamsError: no labelled row, not two classes, or no free text to read.
            MissingArtifactError, OfflineError, VerificationError: the backbone is not there or not what it claims.
        """
        labelled = check_binary(train)
        self.names_ = text_columns(labelled) if self.options.input == "text" else []
        self.weights_ = resolve_weights(self.options.pretrained_folder or self.options.backbone)
        self.probe_, self.model_, self.moved_, self.history_ = None, None, frozenset(), []
        texts, has_text = self._read(labelled)
        self.base_logit_ = _base_logit(labelled, has_text)
        told = labelled.take(has_text)
        if len(np.unique(told.targets)) == 2:
            if self.options.strategy == "linear_probe":
                self._fit_probe(told)
            else:
                self._fine_tune(told, [text for text in texts if text], valid)
        self.typical_logit_ = float(np.average(self.predict_logits(labelled), weights=labelled.weights))
        return self

    def predict_logits(self, samples: Samples) -> np.ndarray:
        """(N,) log-odds of class 1."""
        texts, has_text = self._read(samples)
        logits = np.full(len(samples), self.base_logit_)
        if not has_text.any() or (self.probe_ is None and self.model_ is None):
            return logits
        if self.probe_ is not None:
            coefficients = self.probe_["coefficients"]
            logits[has_text] = coefficients[0] + self._design(samples.take(has_text)) @ coefficients[1:]
        else:
            from core.learners.text_classifier import classify

            told_texts = [text for text in texts if text]
            scores = classify(self.model_, self.model_.backbone, told_texts).astype(float)
            logits[has_text] = scores[:, 1] - scores[:, 0]
        return logits

    def contributions(self, samples: Samples) -> pd.DataFrame:
        """(N, F) distance of the log-odds from the training mean, all of it under the first text column.

        Raises:
            NotImplementedError: the row was read as a sentence, which has no parts.
        """
        if self.options.input == "row_sentence":
            raise NotImplementedError("a row told as a sentence gives no contributions by column")
        values = np.zeros((len(samples), len(self.names_)))
        values[:, 0] = self.predict_logits(samples) - self.typical_logit_
        return pd.DataFrame(values, columns=self.names_)

    def save_state(self, folder: Path) -> None:
        """Write text_encoder.json, the head (and what else moved) in safetensors, and the backbone's SHA-256."""
        write_json(
            folder / STATE,
            {
                "names": self.names_,
                "base_logit": self.base_logit_,
                "typical_logit": self.typical_logit_,
                "history": self.history_,
                "head": "probe" if self.probe_ else "moved" if self.model_ else None,
            },
        )
        save_weights_reference(self.weights_, folder)
        if self.probe_ is not None:
            save_file(self.probe_, folder / ARRAYS)
        elif self.model_ is not None:
            from core.learners.text_classifier import save_moved

            save_moved(self.model_, self.moved_, folder / TENSORS)

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote.

        Raises:
            MissingArtifactError, OfflineError: the backbone cannot be found again.
            VerificationError: the backbone or a file is not the one that was saved.
        """
        state = read_json(folder / STATE)
        self.names_, self.history_ = state["names"], state["history"]
        self.base_logit_, self.typical_logit_ = state["base_logit"], state["typical_logit"]
        self.weights_ = load_weights_reference(folder)
        needed = {"probe": ARRAYS, "moved": TENSORS}.get(state["head"])
        if needed and not (folder / needed).exists():
            raise VerificationError(f"{folder / needed} is missing.", repair="Run `dvc repro` to train again.")
        if state["head"] == "probe":
            self.probe_ = load_file(folder / ARRAYS)
        elif state["head"] == "moved":
            from core.learners.text_classifier import load_moved

            self.model_ = self._make_classifier()
            self.moved_ = load_moved(self.model_, self._make_strategy(), folder / TENSORS)

    def _read(self, samples: Samples) -> tuple[list[str], np.ndarray]:
        """A text a row, and (N,) whether there is one."""
        texts = texts_of(samples, self.options.input, self.names_)
        return texts, np.array([bool(text) for text in texts], dtype=bool)

    def _fit_probe(self, told: Samples) -> None:
        """Standardised embeddings into an L2 logistic regression."""
        embeddings = self._embed(told)
        known = np.ma.masked_invalid(embeddings)
        centre, scale = known.mean(axis=0).filled(0.0), known.std(axis=0).filled(0.0)
        self.probe_ = {"centre": centre, "scale": np.where(scale > 0, scale, 1.0)}
        design = self._standardise(embeddings)
        is_auto = self.options.strength == "auto"
        strength = FEW_LABELS_STRENGTH if is_auto else self.options.strength
        if is_auto and np.bincount(told.targets, minlength=2).min() > 1:  # else no fold can be held out
            strength = choose_strength(
                design,
                told,
                num_folds=self.options.num_folds,
                large_num_rows=self.options.large_num_rows,
                select_by="log_loss",
                seed=self.seed,
                strengths=STRENGTHS,
            )
        self.probe_["coefficients"] = fit_centred_ridge(design, told.targets, told.weights, strength)

    def _fine_tune(self, told: Samples, texts: list[str], valid: Samples | None) -> None:
        """Head and whatever the strategy frees, by the training loop."""
        from core.learners.text_classifier import train_classifier

        held = None
        if valid is not None and valid.num_labelled:
            held_rows = valid.labelled()
            held_texts, has_text = self._read(held_rows)
            held_rows = held_rows.take(has_text)
            held = ([text for text in held_texts if text], np.eye(2)[held_rows.targets], held_rows.weights)
        self.model_ = self._make_classifier()
        folder = self.options.checkpoint_folder
        result = train_classifier(
            self.model_,
            self._make_strategy(),
            self.options.training,
            (texts, np.eye(2)[told.targets], told.weights),
            held,
            seed=self.seed,
            checkpoint_folder=Path(folder) if folder else None,
        )
        self.history_ = [{"step": row["epoch"] + 1, **row} for row in result.history]
        self.moved_ = result.moved

    def _design(self, told: Samples) -> np.ndarray:
        """(N, P) standardised embeddings."""
        return self._standardise(self._embed(told))

    def _standardise(self, embeddings: np.ndarray) -> np.ndarray:
        """(N, P) in standard units; a text that a row lacks is typical, 0."""
        return np.nan_to_num((embeddings - self.probe_["centre"]) / self.probe_["scale"], nan=0.0)

    def _embed(self, told: Samples) -> np.ndarray:
        """(N, P) embeddings of the joined texts, or those of each column side by side; NaN where a row has none."""
        is_joined = self.options.columns == "joined"
        embedder = TextEmbedder(self.weights_, max_length=self.options.max_length)
        blocks = []
        for names in [self.names_] if is_joined else [[name] for name in self.names_]:
            texts = texts_of(told, self.options.input, names)
            has_text = np.array([bool(text) for text in texts], dtype=bool)
            embeddings = embedder.embed([text for text in texts if text])
            block = np.full((len(told), embeddings.shape[1]), np.nan)
            block[has_text] = embeddings
            blocks.append(block)
        return np.hstack(blocks)

    def _make_strategy(self) -> Any:
        return STRATEGIES[self.options.strategy](self.options.strategy_options)

    def _make_classifier(self) -> Any:
        from core.learners.text_classifier import make_classifier

        return make_classifier(
            self.weights_,
            max_length=self.options.max_length,
            num_classes=2,
            dropout=self.options.dropout,
            seed=self.seed,
        )


def _base_logit(labelled: Samples, has_text: np.ndarray) -> float:
    """Log-odds of rows without text, drawn to the overall rate: (sum w y + k r) / (sum w + k)."""
    overall = float(np.average(labelled.targets, weights=labelled.weights))
    weights = labelled.weights * ~has_text
    rate = (weights @ labelled.targets + BASE_RATE_PRIOR_ROWS * overall) / (weights.sum() + BASE_RATE_PRIOR_ROWS)
    return float(logit(rate))
