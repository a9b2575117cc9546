"""Table and text in one model: the way to join them is chosen out of fold, and never worse than its better part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy.special import expit
from sklearn.metrics import log_loss, roc_auc_score

from core.artifacts import read_json, write_json
from core.backbones.weights import resolve_weights
from core.data.samples import Samples
from core.errors import BadParamsError
from core.learners.additive_stacking import fit_stacking
from core.learners.base import LEARNERS, Learner, load_learner, save_learner
from core.learners.binary_table import BinaryTableLearner, check_binary, logits_of
from core.learners.inner_folds import inner_folds
from core.learners.part_histories import part_histories
from core.learners.text_embeddings import TextEmbedder
from core.learners.text_encoder import TextEncoder
from core.learners.text_inputs import text_columns
from core.learners.text_reduction import TextReduction
from core.params import STRICT

Way = Literal["table_only", "text_only", "stacking", "embeddings"]
WAYS: tuple[Way, ...] = ("table_only", "text_only", "stacking", "embeddings")  # of equals the first is taken
PARTS_OF: Mapping[str, tuple[str, ...]] = {
    "table_only": ("table",),
    "text_only": ("text",),
    "stacking": ("table", "text"),
    "embeddings": ("wide",),
}


@dataclass(frozen=True, config=STRICT)
class TextFusionOptions:
    """table_learner, table_options: the table part. text: options of `text_encoder` for the text part.

    ways: what is tried. num_components: principal components of the embeddings given to the table learner.
    guard_metric: what the last guard compares on validation rows.
    """

    table_learner: str = "boosted_trees"
    table_options: Mapping[str, Any] = Field(default_factory=dict)
    text: Mapping[str, Any] = Field(default_factory=dict)
    ways: tuple[Way, ...] = Field(default=WAYS, min_length=1)
    num_components: int = Field(default=16, ge=1)
    num_folds: int = Field(default=3, ge=2)
    guard_metric: Literal["auc", "log_loss"] = "auc"


@LEARNERS.register("text_fusion")
class TextFusion(BinaryTableLearner):
    """Fitted state: `way_`, `parts_` (those it needs), `stack_` (3,), `reduction_`, `selection_` (one row a way)."""

    Options = TextFusionOptions
    needs_torch = True

    def __init__(self, options: Mapping[str, Any] | Any | None = None, *, seed: int = 0) -> None:
        super().__init__(options, seed=seed)
        self._make_table(), self._make_text()  # a typo stops before any work
        if self._make_text().options.input != "text":
            raise BadParamsError(
                "text_fusion reads the free-text columns; the row told as a sentence repeats the table.",
                repair="Leave out text.input, or choose the learner text_encoder.",
            )

    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Choose a way by out-of-fold log loss, fit it on all rows, fall back if validation says it is worse.

        Raises:
            BadParamsError: no labelled row, or not two classes.
        """
        labelled = check_binary(train)
        ways = self._possible_ways(labelled)
        scores, held, stack = self._out_of_fold(labelled, ways)
        losses = {
            way: log_loss(
                labelled.targets[held], expit(scores[way][held]), sample_weight=labelled.weights[held], labels=[0, 1]
            )
            for way in ways
            if way in scores
        }
        chosen = min(losses, key=losses.get) if losses else ways[0]
        self.stack_ = stack
        self._fit_parts(labelled, valid, chosen, ways)
        self.way_, judged = self._guard(valid, chosen, ways)
        self.selection_ = [
            {
                "way": way,
                "out_of_fold_log_loss": losses.get(way),
                "out_of_fold_auc": _auc(labelled, scores[way], held) if way in scores else None,
                f"valid_{self.options.guard_metric}": judged.get(way),
                "is_best_out_of_fold": way == chosen,
                "is_used": way == self.way_,
            }
            for way in ways
        ]
        self.parts_ = {name: self.parts_[name] for name in PARTS_OF[self.way_]}
        return self

    def predict_logits(self, samples: Samples) -> np.ndarray:
        """(N,) log-odds of class 1."""
        return self._logits(samples, self.way_)

    def contributions(self, samples: Samples) -> pd.DataFrame:
        """(N, F) contributions of the columns; all that the texts tell is under the first text column.

        Raises:
            NotImplementedError: the table part cannot explain itself.
        """
        if self.way_ == "embeddings":
            values = self.parts_["wide"].contributions(self.reduction_.widen(samples))
            components = self.reduction_.component_names
            told = values[components].sum(axis=1)
            return values.drop(columns=components).assign(**{self.reduction_.names[0]: told})
        scale = {"table": 1.0, "text": 1.0}
        if self.way_ == "stacking":
            scale = {"table": self.stack_[1], "text": self.stack_[2]}
        told = [part.contributions(samples) * scale[name] for name, part in self.parts_.items()]
        return pd.concat(told, axis=1)

    @property
    def history_(self) -> list[dict[str, Any]]:
        """The learning curves of the parts that are used."""
        return part_histories(self.parts_)

    def save_state(self, folder: Path) -> None:
        """Write text_fusion.json, a folder a part, and the principal components."""
        write_json(
            folder / "text_fusion.json",
            {"way": self.way_, "stack": self.stack_, "selection": self.selection_, "parts": list(self.parts_)},
        )
        for name, part in self.parts_.items():
            save_learner(part, folder / name)
        if self.way_ == "embeddings":
            self.reduction_.save(folder / "reduction")

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote."""
        state = read_json(folder / "text_fusion.json")
        self.way_, self.selection_ = state["way"], state["selection"]
        self.stack_ = np.array(state["stack"], dtype=float)
        self.parts_ = {name: load_learner(folder / name) for name in state["parts"]}
        if self.way_ == "embeddings":
            self.reduction_ = TextReduction.load(folder / "reduction")

    def _make_table(self) -> Learner:
        return LEARNERS[self.options.table_learner](self.options.table_options, seed=self.seed)

    def _make_text(self) -> TextEncoder:
        return TextEncoder(self.options.text, seed=self.seed)

    def _possible_ways(self, labelled: Samples) -> list[Way]:
        """The ways that the columns allow; a table without texts, or texts alone, are no error."""
        has_text = bool(labelled.schema.names("text"))
        has_table = bool(labelled.schema.names("number", "category"))
        lacking = {"table_only": not has_table, "text_only": not has_text}
        ways = [way for way in WAYS if way in self.options.ways and not lacking.get(way, not (has_text and has_table))]
        return ways or (["table_only"] if has_table else ["text_only"])

    def _fit_reduction(self, samples: Samples) -> TextReduction:
        told = self._make_text().options
        weights = resolve_weights(told.pretrained_folder or told.backbone)
        embedder = TextEmbedder(weights, max_length=told.max_length)
        return TextReduction.fit(embedder, text_columns(samples), samples, num_components=self.options.num_components)

    def _out_of_fold(self, labelled: Samples, ways: list[Way]) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """(N,) held-out log-odds of each way, (N,) which rows were held out, (3,) stacking of all of them.

        The stacking that scores a fold was fitted on the others' held-out scores.
        """
        folds = inner_folds(labelled, self.options.num_folds, seed=self.seed)
        fold_of = np.full(len(labelled), -1)
        needed = [way for way in ("table_only", "text_only") if way in ways or "stacking" in ways]
        scores = {way: np.zeros(len(labelled)) for way in (*needed, *ways)} if folds else {}
        for fold, (fit_rows, held_rows) in enumerate(folds):
            fold_of[held_rows] = fold
            fit_part, held_part = labelled.take(fit_rows), labelled.take(held_rows)
            if "table_only" in needed:
                scores["table_only"][held_rows] = logits_of(self._make_table().fit(fit_part), held_part)
            if "text_only" in needed:
                scores["text_only"][held_rows] = self._make_text().fit(fit_part).predict_logits(held_part)
            if "embeddings" in ways:
                reduction = self._fit_reduction(fit_part)
                wide = self._make_table().fit(reduction.widen(fit_part))
                scores["embeddings"][held_rows] = logits_of(wide, reduction.widen(held_part))
        held = fold_of >= 0
        stack = np.array([0.0, 0.5, 0.5])
        if "stacking" in ways and folds:
            pair = np.column_stack([scores["table_only"], scores["text_only"]])

            def fit_on(rows: np.ndarray) -> np.ndarray:
                return fit_stacking(pair[rows], labelled.targets[rows], labelled.weights[rows])

            for fold in range(len(folds)):
                coefficients = fit_on(held & (fold_of != fold))
                rows = fold_of == fold
                scores["stacking"][rows] = coefficients[0] + pair[rows] @ coefficients[1:]
            stack = fit_on(held)
        return scores, held, stack

    def _fit_parts(self, labelled: Samples, valid: Samples | None, chosen: Way, ways: list[Way]) -> None:
        """The parts of the chosen way on all rows and, where the guard will compare, the single parts."""
        wanted = set(PARTS_OF[chosen])
        if valid is not None:
            wanted |= {part for way in ("table_only", "text_only") if way in ways for part in PARTS_OF[way]}
        self.parts_: dict[str, Learner] = {}
        if "table" in wanted:
            self.parts_["table"] = self._make_table().fit(labelled, valid)
        if "text" in wanted:
            self.parts_["text"] = self._make_text().fit(labelled, valid)
        if "wide" in wanted:
            self.reduction_ = self._fit_reduction(labelled)
            wide_valid = self.reduction_.widen(valid) if valid is not None else None
            self.parts_["wide"] = self._make_table().fit(self.reduction_.widen(labelled), wide_valid)

    def _logits(self, samples: Samples, way: Way) -> np.ndarray:
        """(N,) log-odds by one way whose parts are fitted."""
        if way == "embeddings":
            return logits_of(self.parts_["wide"], self.reduction_.widen(samples))
        scores = [logits_of(self.parts_[name], samples) for name in PARTS_OF[way]]
        if way == "stacking":
            return self.stack_[0] + self.stack_[1] * scores[0] + self.stack_[2] * scores[1]
        return scores[0]

    def _guard(self, valid: Samples | None, chosen: Way, ways: list[Way]) -> tuple[Way, dict[str, float]]:
        """The chosen way, or a single part that does better on validation; the metric of each that was asked."""
        held = valid.labelled() if valid is not None else None
        if held is None or len(held) == 0 or len(np.unique(held.targets)) < 2:
            return chosen, {}
        asked = [chosen, *(way for way in ("table_only", "text_only") if way in ways and way != chosen)]
        values = {way: self._judge(held, self._logits(held, way)) for way in asked}
        sign = 1.0 if self.options.guard_metric == "auc" else -1.0
        return max(asked, key=lambda way: sign * values[way]), values  # of equals the chosen one, which is first

    def _judge(self, held: Samples, logits: np.ndarray) -> float:
        """The guard's metric."""
        if self.options.guard_metric == "auc":
            return _auc(held, logits, np.ones(len(held), dtype=bool))
        return float(log_loss(held.targets, expit(logits), sample_weight=held.weights, labels=[0, 1]))


def _auc(samples: Samples, logits: np.ndarray, rows: np.ndarray) -> float:
    """Weighted area under the ROC curve over some rows."""
    return float(roc_auc_score(samples.targets[rows], logits[rows], sample_weight=samples.weights[rows]))
