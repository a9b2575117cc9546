"""Stage `train`: prepared samples -> a calibrated scoring model, its selection table and learning curves."""

from __future__ import annotations

import importlib.metadata
import inspect
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.artifacts import Artifacts, read_json, write_json, write_table
from core.choices import check_choices
from core.data.prepared import open_prepared, read_specs
from core.data.samples import Samples
from core.evaluation.calibration import CALIBRATORS
from core.evaluation.calibration_band import CalibrationBand
from core.evaluation.conformal import ConformalSets
from core.evaluation.metrics import METRICS
from core.evaluation.operating_point import OperatingPoint, operating_point_for_sensitivity
from core.evaluation.thresholds import cheapest_threshold
from core.explain.feature_ranges import feature_ranges
from core.learners import LEARNERS
from core.learners.base import Learner
from core.learners.finding_model import FindingModel
from core.learners.kind_model import KindModel
from core.learners.learned_groups import LearnedGroups
from core.learners.scoring_model import ScoringModel
from core.learners.trackers import log_final_metrics, tracked_options
from core.params import TrainParams, VerticalParams
from core.transfers import TRANSFERS
from core.transfers.base import Transfer, TransferTask
from core.vertical import Vertical

if TYPE_CHECKING:
    from core.learners.input_gate import InputGate

# Below this many labelled validation rows a calibration map or a threshold would follow noise.
MIN_CALIBRATION_ROWS = 30


def train(vertical: Vertical, params: VerticalParams, artifacts: Artifacts, *, seed: int) -> None:
    """Fit the chosen transfer on target (and source) training rows; calibrate and set the threshold on validation.

    Test rows are not opened. Writes `model/`, `feature_ranges.json`, `train_metrics.json` and `learning_curve.csv`.
    """
    check_choices(vertical, params)
    opened = open_prepared(vertical, params, artifacts, splits=("source_train", "source_valid", "train", "valid"))
    started = time.perf_counter()
    log_folder = artifacts.root.parent / "dvclive" / vertical.name  # not a stage output: a log of runs, unversioned
    learner = fit_transfer(params.train, opened, seed=seed, log_folder=log_folder)
    fit_seconds = time.perf_counter() - started
    tuning, tuning_domain = _calibration_rows(opened, is_one_class=learner.is_one_class)
    model = calibrate(learner, tuning, vertical, params, seed=seed)
    if not learner.is_one_class:
        make_learner = learner_maker(params.train, params.train.learner, seed=seed)
        kinds = KindModel.fit(make_learner, opened["train"])
        findings = FindingModel.fit(make_learner, opened["train"], seed=seed)
        model = replace(model, kinds=kinds, findings=findings)
    if params.train.input_gate_error_rate is not None and vertical.modality == "image":
        model = replace(model, gate=fit_gate(learner, opened, params.train.input_gate_error_rate, seed=seed))
    model = model.with_context(
        spec=read_specs(artifacts)[params.prepare.target_domain],
        train=opened["train"],
        options=dict(params.options),
        provenance={
            "vertical": vertical.name,
            "source_domains": list(params.prepare.source_domains),
            "target_domain": params.prepare.target_domain,
            "params": asdict(params),
            "data": read_json(artifacts.require("prepare", "data_report.json")).get("data_sha256"),
            "versions": {
                name: importlib.metadata.version(name) for name in ("crossdomain", "numpy", "scikit-learn", "xgboost")
            },
        },
    )
    labelled = [samples.groups[samples.is_labelled] for samples in opened.values()]
    model = replace(model, learned=LearnedGroups.of(np.concatenate(labelled)))
    model.save(artifacts.path("train", "model"))
    write_json(artifacts.path("train", "feature_ranges.json"), feature_ranges(opened["train"]))
    valid = _write_metrics(model, tuning, tuning_domain, opened, vertical, params, artifacts, fit_seconds)
    names = {"transfer": params.train.transfer, "learner": params.train.learner}
    log_final_metrics(params.train.trackers, log_folder, valid, names)


def fit_transfer(
    params: TrainParams, opened: dict[str, Samples], *, seed: int, log_folder: Path | None = None
) -> Learner:
    """The learner that the chosen transfer makes of the opened samples; training loops log to `log_folder`."""
    task = TransferTask(
        source=opened["source_train"],
        target=opened["train"],
        valid=opened["valid"].labelled() if opened["valid"].num_labelled else None,
        make_learner=learner_maker(params, params.learner, seed=seed, log_folder=log_folder),
        seed=seed,
    )
    return make_transfer(params, params.transfer).fit(task)


def learner_maker(
    params: TrainParams, name: str, *, seed: int, log_folder: Path | None = None
) -> Callable[[], Learner]:
    """Makes fresh learners of one kind with their own options; those with a training loop log to `log_folder`."""
    kind, options = LEARNERS[name], params.learner_options.get(name, {})
    if kind.needs_torch and log_folder is not None:
        options = tracked_options(options, kind.Options, params.trackers, log_folder)
    return partial(kind, options, seed=seed)


def make_transfer(params: TrainParams, name: str) -> Transfer:
    """A transfer by name with its `transfer_options`; `auto` chooses from params' candidates.

    One that makes other transfers gets the options of all.
    """
    transfer, options = TRANSFERS[name], dict(params.transfer_options.get(name, {}))
    if name == "auto":
        options["candidates"] = params.candidates
    if "transfer_options" in inspect.signature(transfer).parameters:
        options["transfer_options"] = params.transfer_options
    return transfer(**options)


def _calibration_rows(opened: dict[str, Samples], *, is_one_class: bool) -> tuple[Samples, str]:
    """Labelled validation rows of the target, or of the source where the target has too few labels."""
    if is_one_class:
        return opened["valid"].labelled(), "target"
    for key in ("valid", "source_valid"):
        rows = opened[key].labelled()
        if len(rows) >= MIN_CALIBRATION_ROWS and len(np.unique(rows.targets)) > 1:
            return rows, "target" if key == "valid" else "source"
    pooled = opened["train"].labelled()
    return pooled, "target training rows: too few validation labels"


def calibrate(
    learner: Learner, tuning: Samples, vertical: Vertical, params: VerticalParams, *, seed: int
) -> ScoringModel:
    """Calibration map, its band, the threshold by rule and the conformal sets, all from the validation rows alone.

    A one-class learner has set its threshold from good rows and is left as it is, unless a fixed one is told.
    """
    if learner.is_one_class:
        return ScoringModel(
            learner=learner,
            calibrator=CALIBRATORS["none"]().fit(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1])),
            band=CalibrationBand.identity(params.evaluate.confidence),
            threshold=params.train.fixed_threshold if params.train.threshold_rule == "fixed" else 0.5,
            schema=tuning.schema,
            classes=vertical.classes,
            positive_class=vertical.positive_class,
        )
    raw = learner.predict_probability(tuning)
    calibrator = CALIBRATORS[params.train.calibration]().fit(raw, tuning.targets)
    band = CalibrationBand.fit(
        CALIBRATORS[params.train.calibration],
        raw,
        tuning.targets,
        positive_index=vertical.positive_index,
        confidence=params.evaluate.confidence,
        seed=seed,
    )
    positive = calibrator.transform(raw)[:, vertical.positive_index]
    threshold, _ = choose_threshold(params.train, tuning.targets == vertical.positive_index, positive)
    return ScoringModel(
        learner=learner,
        calibrator=calibrator,
        band=band,
        threshold=threshold,
        schema=tuning.schema,
        classes=vertical.classes,
        positive_class=vertical.positive_class,
        conformal=ConformalSets.fit(
            calibrator.transform(raw), tuning.targets, error_rate=params.train.conformal_error_rate
        ),
    )


def choose_threshold(
    params: TrainParams, is_positive: np.ndarray, score: np.ndarray
) -> tuple[float, OperatingPoint | None]:
    """The threshold by `threshold_rule` on rows (N,), and what is known of a stated sensitivity."""
    if params.threshold_rule == "fixed":
        return float(params.fixed_threshold), None
    if params.threshold_rule == "sensitivity":
        point = operating_point_for_sensitivity(is_positive, score, params.target_sensitivity)
        return point.threshold, point
    threshold = cheapest_threshold(is_positive, score, params.cost_false_negative, params.cost_false_positive)
    return float(threshold), None


def _rule_of(model: ScoringModel, params: TrainParams) -> str:
    """What set the threshold; of a one-class learner its good rows, unless a threshold is told."""
    is_told = params.threshold_rule == "fixed"
    return "one_class" if model.learner.is_one_class and not is_told else params.threshold_rule


def fit_gate(learner: Learner, opened: dict[str, Samples], error_rate: float, *, seed: int) -> InputGate:
    """The input gate of source and target training pictures; labels are not read, test rows are not opened.

    Its thresholds come from the target's validation pictures, and from the source's, too, where those are few.
    """
    from core.learners.input_gate import MIN_HELD_OUT, InputGate

    train = [opened[key] for key in ("source_train", "train") if len(opened[key])]
    held_out = [opened["valid"]]
    if len(opened["valid"]) < MIN_HELD_OUT:
        held_out.append(opened["source_valid"])
    return InputGate(error_rate, seed=seed).fit(learner, train, [part for part in held_out if len(part)])


def _write_metrics(
    model: ScoringModel,
    tuning: Samples,
    tuning_domain: str,
    opened: dict[str, Samples],
    vertical: Vertical,
    params: VerticalParams,
    artifacts: Artifacts,
    fit_seconds: float,
) -> dict[str, float]:
    """What was chosen and how it does on validation, which is returned; the curves where the learner kept them."""
    probability = model.predict_probability(tuning)
    has_both = len(np.unique(tuning.targets)) > 1
    point = None
    if not model.learner.is_one_class:
        positive = probability[:, vertical.positive_index]
        _, point = choose_threshold(params.train, tuning.targets == vertical.positive_index, positive)
    valid = {
        name: METRICS[name].function(tuning.targets, probability, vertical.positive_index)
        for name in vertical.metrics
        if has_both or not METRICS[name].needs_both_classes
    }
    write_json(
        artifacts.path("train", "train_metrics.json"),
        {
            "transfer": params.train.transfer,
            "learner": params.train.learner,
            "selection": getattr(model.learner, "selection_", None),
            "rows": {key: {"rows": len(s), "labelled": s.num_labelled} for key, s in opened.items()},
            "calibrated_on": tuning_domain,
            "threshold": model.threshold,
            "threshold_rule": _rule_of(model, params.train),
            "operating_point": asdict(point) if point is not None else None,
            "input_gate": model.gate.facts() if model.gate is not None else None,
            "fit_seconds": round(fit_seconds, 2),
            "validation": valid,
        },
    )
    curve = pd.DataFrame(getattr(model.learner, "history_", None) or [{"step": 0, "loss": np.nan}])
    write_table(artifacts.path("train", "learning_curve.csv"), curve)
    return valid
