"""What `evaluate` adds for pictures: where, which kind, how sure, how robust, and examples to look at."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from core.artifacts import write_table
from core.cases.evidence import write_confusion, write_findings, write_recalls
from core.cases.kinds import truth_and_score
from core.data.samples import Samples
from core.evaluation.intervals import wilson_interval
from core.evaluation.metrics import METRICS
from core.images.disturbances import DISTURBANCES, STRENGTHS, disturb
from core.images.image import images_of
from core.pictures.examples import choose_examples, write_examples
from core.pictures.localising import NATURAL_LEVEL, LocatedRows, calibrate_level, choose_rows, localise
from core.stages.evaluate import EvaluationFacts

FALSE_ALARM_FRACTIONS = (0.01, 0.05, 0.1)


class PictureEvidence(Protocol):
    """What a vertical's options say. num_examples: pictures with heat maps in the report; evidence_rows: test rows
    whose heat maps are measured; robustness_rows: test rows that are disturbed; 0 leaves a part out."""

    num_examples: int
    evidence_rows: int
    robustness_rows: int


def evaluate_pictures(facts: EvaluationFacts, folder: Path, options: PictureEvidence) -> dict[str, Any]:
    """Writes robustness, kinds, kind_confusion, findings, recalls and examples as CSV, and examples/*.png."""
    abstains = facts.model.abstains(facts.probability)
    result: dict[str, Any] = {"abstention": abstention(facts, abstains)}
    recalls = recall_at_false_alarms(*truth_and_score(facts))
    write_table(folder / "recalls.csv", recalls)
    result["recalls"] = recalls.to_dict("records")
    result |= write_recalls(facts, folder) | write_confusion(facts, folder) | write_findings(facts, folder)
    if options.robustness_rows:
        say("robustness", started := time.perf_counter())
        table = robustness(facts, options.robustness_rows)
        write_table(folder / "robustness.csv", table)
        result["robustness"] = table.to_dict("records")
        say("robustness done", started)
    level = NATURAL_LEVEL
    if options.evidence_rows:
        say("heat maps", started := time.perf_counter())
        result["localisation"] = found = locate(facts, options.evidence_rows)
        level = found["level"]
        say("heat maps done", started)
    if options.num_examples:
        examples = choose_examples(facts, abstains, options.num_examples)
        write_table(folder / "examples.csv", write_examples(facts, examples, level, folder / "examples"))
        result["num_examples"] = len(examples)
    return result


def abstention(facts: EvaluationFacts, abstains: np.ndarray) -> dict[str, Any]:
    """How often a person is asked, by class, and how often the rest is wrong, against deciding everything."""
    is_positive, score = truth_and_score(facts)
    is_wrong = (score >= facts.model.threshold) != is_positive
    kept = ~abstains
    low, high = wilson_interval(is_wrong[kept].sum(), kept.sum())
    return {
        "rate": float(abstains.mean()),
        "rate_negative": _mean(abstains[~is_positive]),
        "rate_positive": _mean(abstains[is_positive]),
        "error_all": float(is_wrong.mean()),
        "error_rest": _mean(is_wrong[kept]),
        "error_rest_low": float(low),
        "error_rest_high": float(high),
        "escapes_all": int((is_wrong & is_positive).sum()),
        "escapes_rest": int((is_wrong & is_positive & kept).sum()),
        "has_conformal_sets": facts.model.conformal is not None,
    }


def recall_at_false_alarms(is_positive: np.ndarray, score: np.ndarray) -> pd.DataFrame:
    """Share of positives found when at most a fraction of the negatives may be called; Wilson intervals.

    Rows with equal scores are called together. Shape: (N,) bool and (N,) scores.
    """
    negative = np.sort(score[~is_positive])[::-1]
    rows = []
    for fraction in FALSE_ALARM_FRACTIONS:
        num_allowed = int(np.floor(fraction * len(negative) + 1e-9))
        limit = negative[num_allowed] if num_allowed < len(negative) else -np.inf
        num_found, num_positives = int((score[is_positive] > limit).sum()), int(is_positive.sum())
        low, high = wilson_interval(num_found, num_positives)
        rows.append(
            {
                "false_alarm_fraction": fraction,
                "recall": num_found / max(num_positives, 1),
                "low": float(low),
                "high": float(high),
                "positives": num_positives,
                "negatives": len(negative),
            }
        )
    return pd.DataFrame(rows)


def robustness(facts: EvaluationFacts, num_rows: int) -> pd.DataFrame:
    """AUC and decisions that flip, by disturbance and strength; the first line is of the same rows undisturbed."""
    rows = choose_rows(facts.test, num_rows, seed=facts.seed)
    samples = facts.test.take(rows)
    plain = facts.probability[rows]
    lines = [_disturbed_line(facts, samples, plain, plain, "none", 0)]
    for name in DISTURBANCES:
        for strength in STRENGTHS:
            images = disturb(images_of(samples), name, strength, seed=facts.seed)
            column = samples.schema.names("image")[0]
            inputs = samples.inputs.assign(**{column: pd.Series(images, dtype=object, index=samples.inputs.index)})
            changed = facts.model.predict_probability(replace(samples, inputs=inputs))
            lines.append(_disturbed_line(facts, samples, changed, plain, name, strength))
    return pd.DataFrame(lines)


def _disturbed_line(
    facts: EvaluationFacts, samples: Samples, probability: np.ndarray, plain: np.ndarray, name: str, strength: int
) -> dict[str, Any]:
    index, threshold = facts.vertical.positive_index, facts.model.threshold
    is_positive = samples.targets == index
    flips = (probability[:, index] >= threshold) != (plain[:, index] >= threshold)
    has_both = 0 < is_positive.sum() < len(is_positive)
    auc = METRICS["auc"].function(samples.targets, probability, index) if has_both else np.nan
    return {
        "disturbance": name,
        "strength": strength,
        "rows": len(samples),
        "auc": auc,
        "flips": float(flips.mean()),
        "flips_to_positive": float((flips & (plain[:, index] < threshold)).mean()),
        "flips_to_negative": float((flips & (plain[:, index] >= threshold)).mean()),
        "abstains": float(facts.model.abstains(probability).mean()),
    }


def locate(facts: EvaluationFacts, num_rows: int) -> dict[str, Any]:
    """Figures of the heat maps on test rows, at a level that validation rows set."""
    from core.explain.heat_maps import heat_maps

    read = {}
    for name, samples in (("valid", facts.valid), ("test", facts.test)):
        chosen = samples.take(choose_rows(samples, num_rows, seed=facts.seed))
        masks = facts.read_masks(list(chosen.sample_ids))
        is_positive = chosen.targets == facts.vertical.positive_index
        read[name] = LocatedRows.of(heat_maps(facts.model.learner, chosen), is_positive, chosen.sample_ids, masks)
    level, how = calibrate_level(read["valid"])
    return {"level": level, "level_from": how, "of_threshold": facts.model.threshold, **localise(read["test"], level)}


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def say(what: str, started: float) -> None:
    """A line of progress."""
    print(f"evaluate: {what} ({time.perf_counter() - started:.0f} s)", flush=True)
