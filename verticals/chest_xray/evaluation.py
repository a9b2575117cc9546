"""What `evaluate` adds for a clinic: subgroups, a shortcut audit, corruptions, attacks, and what all pictures have."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.artifacts import write_table
from core.data.samples import Samples, concatenate
from core.errors import BadParamsError
from core.evaluation.metrics import METRICS
from core.explain.heat_maps import picture_learner
from core.images.corruptions import CORRUPTIONS, STRENGTHS, corrupt
from core.images.image import images_of
from core.params import parse_section
from core.pictures.adversarial import adversarial_table
from core.pictures.evidence import evaluate_pictures, say
from core.pictures.localising import choose_rows
from core.stages.evaluate import EvaluationFacts
from verticals.chest_xray.medical.maps import methods_of
from verticals.chest_xray.medical.sanity import write_sanity
from verticals.chest_xray.options import ChestOptions
from verticals.chest_xray.shortcut_audit import shortcut_table
from verticals.chest_xray.subgroups import SITE, subgroup_table

LARGEST_LOG_ODDS = 20.0


def evaluate_more(facts: EvaluationFacts, folder: Path) -> dict[str, Any]:
    """Writes what `evaluate_pictures` writes, subgroups, shortcuts, corruptions, adversarial and sanity (csv each)."""
    options = parse_section(ChestOptions, facts.params.options, where="chest_xray.options")
    source = facts.read_source() if facts.read_source is not None else None
    # The corruptions below ask the same as the core's disturbances, in finer steps.
    result = evaluate_pictures(facts, folder, replace(options, robustness_rows=0))
    say("subgroups and shortcuts", started := time.perf_counter())
    subgroups = subgroups_of(facts, source)
    write_table(folder / "subgroups.csv", subgroups)
    result["flagged_subgroups"] = [
        {"attribute": row.attribute, "value": row.value, "gaps": row.flagged_gaps}
        for row in subgroups[subgroups["is_flagged"]].itertuples()
    ]
    shortcuts = shortcut_table(
        facts.model.learner, _log_odds(facts), facts.test, facts.attributes, source, seed=facts.seed
    )
    write_table(folder / "shortcuts.csv", shortcuts)
    result["shortcuts"] = shortcuts.to_dict("records")
    say("subgroups and shortcuts done", started)
    if options.robustness_rows:
        say("corruptions", started := time.perf_counter())
        corruptions = corruption_table(facts, options.robustness_rows)
        write_table(folder / "corruptions.csv", corruptions)
        result["mean_relative_auc_drop"] = float(corruptions["relative_auc_drop"].iloc[1:].mean())
        say("corruptions done", started)
    if options.adversarial_rows:
        say("attacks", started := time.perf_counter())
        try:
            attacks = adversarial_table(facts.model, facts.test, options.adversarial_rows, seed=facts.seed)
            write_table(folder / "adversarial.csv", attacks)
            result["adversarial"] = attacks.to_dict("records")
        except BadParamsError as error:
            result["adversarial_reason"] = error.message
        say("attacks done", started)
    if options.sanity_rows:  # occlusion is left out: it takes as long as all the others
        say("sanity of the heat maps", started := time.perf_counter())
        try:
            methods = [name for name in methods_of(picture_learner(facts.model.learner)) if name != "occlusion"]
            result["sanity"] = write_sanity(
                facts.model, facts.test, folder, methods=methods, num_pictures=options.sanity_rows, num_draws=2
            )
        except BadParamsError as error:
            result["sanity_reason"] = error.message
        say("sanity of the heat maps done", started)
    return result


def subgroups_of(facts: EvaluationFacts, source: Samples | None) -> pd.DataFrame:
    """Test rows by attribute, then target's test rows against the source's held-out ones by site.

    Each of the two is a family of tests of its own.
    """
    told = {
        "threshold": facts.model.threshold,
        "positive_index": facts.vertical.positive_index,
        "min_rows": facts.params.evaluate.min_slice_rows,
        "num_bootstrap": facts.params.evaluate.num_bootstrap,
        "seed": facts.seed,
    }
    tables = []
    if len(facts.attributes.columns):
        groups = facts.test.groups.astype(str)
        tables.append(subgroup_table(facts.test.targets, facts.probability, facts.attributes, groups, **told))
    samples, probability = facts.test, facts.probability
    if source is not None and len(source):
        samples = concatenate([facts.test, source])
        probability = np.concatenate([facts.probability, facts.model.predict_probability(source)])
    sites = pd.DataFrame({SITE: samples.domains.astype(str)})
    groups = np.char.add(np.char.add(samples.domains.astype(str), " "), samples.groups.astype(str))
    tables.append(subgroup_table(samples.targets, probability, sites, groups, **told))
    return pd.concat(tables, ignore_index=True)


def corruption_table(facts: EvaluationFacts, num_rows: int) -> pd.DataFrame:
    """The same test rows under each corruption and strength, the first line undisturbed.

    Columns: corruption, strength, rows, auc, relative_auc_drop ((clean - corrupted) / clean; below 0 is a gain),
    sensitivity, specificity, abstains, refused (by the input gate; NaN without one).
    """
    samples = facts.test.take(choose_rows(facts.test, num_rows, seed=facts.seed))
    lines = [_corrupted_line(facts, samples, "none", 0)]
    for name in CORRUPTIONS:
        for strength in STRENGTHS:
            images = np.empty(len(samples), dtype=object)
            images[:] = corrupt(images_of(samples), name, strength, seed=facts.seed)
            column = samples.schema.names("image")[0]
            changed = replace(samples, inputs=samples.inputs.assign(**{column: images}))
            lines.append(_corrupted_line(facts, changed, name, strength))
    table = pd.DataFrame(lines)
    clean = table.loc[0, "auc"]
    table.insert(4, "relative_auc_drop", (clean - table["auc"]) / clean)
    return table


def _corrupted_line(facts: EvaluationFacts, samples: Samples, name: str, strength: int) -> dict[str, Any]:
    index = facts.vertical.positive_index
    probability = facts.model.predict_probability(samples)
    is_positive, called = samples.targets == index, probability[:, index] >= facts.model.threshold
    has_both = 0 < is_positive.sum() < len(is_positive)
    return {
        "corruption": name,
        "strength": strength,
        "rows": len(samples),
        "auc": METRICS["auc"].function(samples.targets, probability, index) if has_both else np.nan,
        "sensitivity": float(called[is_positive].mean()) if is_positive.any() else np.nan,
        "specificity": float((~called)[~is_positive].mean()) if (~is_positive).any() else np.nan,
        "abstains": float(facts.model.abstains(probability).mean()),
        "refused": float(facts.model.gate.judge(samples)[0].mean()) if facts.model.gate is not None else np.nan,
    }


def _log_odds(facts: EvaluationFacts) -> np.ndarray:
    """(N,) of the test rows' positive class."""
    positive = facts.probability[:, facts.vertical.positive_index]
    with np.errstate(divide="ignore"):
        return np.clip(np.log(positive) - np.log1p(-positive), -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS)
