"""Stage `evaluate`: the scoring model on the target's test rows, once: predictions, intervals, slices, plot tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from core.artifacts import Artifacts, replacing_folder, write_json, write_table
from core.cases.evidence import evaluate_cases
from core.data.prepared import PREPARED_SPLITS, open_prepared, read_manifest
from core.data.samples import Samples
from core.evaluation.calibration import calibration_table
from core.evaluation.curves import gains_table, precision_recall_table, roc_table
from core.evaluation.domain_distances import domain_distances
from core.evaluation.fairness import fairness_table, protected_proxies
from core.evaluation.feature_map import feature_map, fit_axes, nearest_neighbours
from core.evaluation.feature_rows import draw_feature_rows
from core.evaluation.intervals import bootstrap_interval
from core.evaluation.metrics import METRICS
from core.evaluation.shift import population_stability_index
from core.evaluation.slices import slice_table
from core.evaluation.thresholds import cutoff_table
from core.learners.scoring_model import ScoringModel
from core.params import VerticalParams
from core.vertical import Vertical


def evaluate(vertical: Vertical, params: VerticalParams, artifacts: Artifacts, *, seed: int) -> None:
    """Score the test rows with the saved model and write everything a report or a page shows of it."""
    model = ScoringModel.load(artifacts.require("train", "model"))
    opened = open_prepared(vertical, params, artifacts, splits=PREPARED_SPLITS)
    test = opened["test"].labelled()
    predictions, valid_predictions = (_predictions(model, opened[split], vertical) for split in ("test", "valid"))
    probability = _probability(predictions, vertical)[opened["test"].is_labelled]
    positive = probability[:, vertical.positive_index]
    is_positive = test.targets == vertical.positive_index
    write_table(artifacts.path("evaluate", "predictions.parquet"), predictions)
    write_table(artifacts.path("evaluate", "valid_predictions.parquet"), valid_predictions)
    unlabelled = opened["train"].take(~opened["train"].is_labelled)
    write_table(artifacts.path("evaluate", "unlabelled_predictions.parquet"), _predictions(model, unlabelled, vertical))
    _write_feature_map(model, opened, predictions, vertical, params, artifacts, seed=seed)

    metrics = _metrics_with_intervals(test, probability, vertical, params, seed=seed)
    attributes = _slice_attributes(opened["test"], artifacts)
    attributes = attributes.loc[opened["test"].is_labelled].reset_index(drop=True)
    slices = slice_table(
        test.targets,
        probability,
        attributes,
        threshold=model.threshold,
        positive_index=vertical.positive_index,
        min_rows=params.evaluate.min_slice_rows,
        num_bootstrap=params.evaluate.num_bootstrap,
        seed=seed,
    )
    protected = attributes[[name for name in attributes if name in model.spec.protected]]
    fairness = fairness_table(is_positive, positive >= model.threshold, protected)
    proxies = protected_proxies(test.inputs, protected, test.schema) if len(protected.columns) else {}
    valid_positive = _probability(valid_predictions, vertical)[:, vertical.positive_index]
    write_json(
        artifacts.path("evaluate", "metrics.json"),
        {
            "domain": params.prepare.target_domain,
            "rows": len(test),
            "prevalence": float(is_positive.mean()),
            **metrics,
            "threshold": model.threshold,
            "adverse_rate": float((positive >= model.threshold).mean()),
            "psi_score_valid_to_test": population_stability_index(valid_positive, positive),
        },
    )
    write_json(artifacts.path("evaluate", "fairness.json"), {"fairness": fairness, "proxies": proxies})
    _write_evidence(model, opened, attributes, probability, vertical, params, artifacts, seed=seed)
    for name, table in {
        "roc": roc_table(is_positive, positive),
        "precision_recall": precision_recall_table(is_positive, positive),
        "calibration": calibration_table(is_positive, positive, num_bins=params.evaluate.num_bins),
        "gains": gains_table(is_positive, positive),
        "cutoffs": cutoff_table(
            is_positive, positive, params.train.cost_false_negative, params.train.cost_false_positive
        ),
        "slices": slices,
    }.items():
        write_table(artifacts.path("evaluate", f"{name}.csv"), table)


@dataclass(frozen=True)
class EvaluationFacts:
    """What a vertical's `evaluate_more` gets.

    valid, test: labelled rows; levels are set on valid, test is only measured. probability: (N, 2) calibrated, of test.
    read_masks: sample ids -> {sample id: (S, S) uint8 mask} of the target's rows. attributes: row by row with test, the
    manifest's slice columns (sex, age, view). read_source: the source's labelled validation rows, if any.
    """

    model: ScoringModel
    valid: Samples
    test: Samples
    probability: np.ndarray
    vertical: Vertical
    params: VerticalParams
    read_masks: Callable[[Sequence[str]], dict[str, np.ndarray]]
    seed: int
    attributes: pd.DataFrame = field(default_factory=pd.DataFrame)
    read_source: Callable[[], Samples] | None = None


def _write_evidence(
    model: ScoringModel,
    opened: dict[str, Samples],
    attributes: pd.DataFrame,
    probability: np.ndarray,
    vertical: Vertical,
    params: VerticalParams,
    artifacts: Artifacts,
    *,
    seed: int,
) -> None:
    """`evidence/` with what the vertical adds, else kinds and findings; evidence.json is empty where there are none."""

    def masks(sample_ids: Sequence[str]) -> dict[str, np.ndarray]:
        from core.images.store import read_masks

        return read_masks(artifacts.path("prepare", "columns"), params.prepare.target_domain, sample_ids)

    def source() -> Samples:
        return open_prepared(vertical, params, artifacts, splits=("source_valid",))["source_valid"].labelled()

    valid, test = opened["valid"].labelled(), opened["test"].labelled()
    facts = EvaluationFacts(model, valid, test, probability, vertical, params, masks, seed, attributes, source)
    with replacing_folder(artifacts.path("evaluate", "evidence")) as folder:
        write_json(folder / "evidence.json", (vertical.evaluate_more or evaluate_cases)(facts, folder))


def _write_feature_map(
    model: ScoringModel,
    opened: dict[str, Samples],
    predictions: pd.DataFrame,
    vertical: Vertical,
    params: VerticalParams,
    artifacts: Artifacts,
    *,
    seed: int,
) -> None:
    """Where rows of every split lie, which training rows are near, how far domains are apart; axes of training rows."""
    rows = draw_feature_rows(model.learner, opened, vertical.classes, seed=seed)
    axes = fit_axes(rows)
    told = predictions.rename(columns={f"probability_{vertical.positive_class}": "probability"})
    table = feature_map(rows, axes, told, positive_class=vertical.positive_class)
    write_table(artifacts.path("evaluate", "feature_map.parquet"), table)
    write_table(artifacts.path("evaluate", "neighbours.parquet"), nearest_neighbours(rows, axes))
    distances = domain_distances(rows, axes, params.prepare.target_domain, seed=seed)
    write_json(artifacts.path("evaluate", "domain_distances.json"), distances)


def _predictions(model: ScoringModel, samples: Samples, vertical: Vertical) -> pd.DataFrame:
    """One row a sample, labelled or not."""
    probability, low_high = model.predict_all(samples) if len(samples) else (np.zeros((0, 2)), np.zeros((0, 2)))
    table = pd.DataFrame({"sample_id": samples.sample_ids, "domain": samples.domains, "label": samples.labels})
    for index, name in enumerate(vertical.classes):
        table[f"probability_{name}"] = probability[:, index]
    table["probability_low"], table["probability_high"] = low_high[:, 0], low_high[:, 1]
    table["is_adverse"] = probability[:, vertical.positive_index] >= model.threshold
    return table


def _probability(predictions: pd.DataFrame, vertical: Vertical) -> np.ndarray:
    """(N, C) of a table of `_predictions`."""
    return predictions[[f"probability_{name}" for name in vertical.classes]].to_numpy()


def _metrics_with_intervals(
    test: Samples, probability: np.ndarray, vertical: Vertical, params: VerticalParams, *, seed: int
) -> dict:
    """`{metric: {value, low, high}}` for the vertical's metrics, resampling whole groups."""
    has_groups = len(np.unique(test.groups)) < len(test)
    result = {}
    for name in vertical.metrics:
        interval = bootstrap_interval(
            METRICS[name],
            test.targets,
            probability,
            vertical.positive_index,
            num_bootstrap=params.evaluate.num_bootstrap,
            confidence=params.evaluate.confidence,
            seed=seed,
            groups=test.groups if has_groups else None,
        )
        result[name] = {"value": interval.value, "low": interval.low, "high": interval.high}
    return result


def _slice_attributes(test: Samples, artifacts: Artifacts) -> pd.DataFrame:
    """Raw attribute columns to slice by, row by row with `test`: those in params, else the protected ones."""
    manifest = read_manifest(artifacts)
    names = [c for c in manifest.columns if c.startswith("slice_")]
    rows = manifest.set_index("sample_id").loc[test.sample_ids, names].reset_index(drop=True)
    return rows.rename(columns=lambda name: name.removeprefix("slice_"))
