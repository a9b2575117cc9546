"""What a defect report shows beyond the common sections: pictures with heat maps, where, robustness, kinds, doubt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from PIL import Image as PillowImage

from core.artifacts import read_json
from core.data.prepared import read_manifest
from core.errors import BadInputError
from core.evaluation.figure_style import BASELINE_COLOUR, COLOURS, MARKERS, TEXT_COLOUR, new_figure, quiet_axes
from core.params import parse_section
from core.reporting.run_sections import RunFacts
from core.reporting.sections import Section
from verticals.defect_detection.options import DefectOptions
from verticals.defect_detection.ways import Recommendation, recommend

COLUMNS_OF_EXAMPLES = 2


def report_sections(facts: RunFacts) -> list[Section]:
    """Examples, localisation, kinds and recalls, doubt, robustness, which way is recommended."""
    folder = facts.artifacts.require("evaluate", "evidence")
    evidence = read_json(folder / "evidence.json")
    found = [
        _examples_section(folder),
        _localisation_section(evidence.get("localisation")),
        _kinds_section(folder, evidence),
        _doubt_section(evidence.get("abstention")),
        _robustness_section(folder),
        _way_section(facts),
    ]
    return [section for section in found if section is not None]


def _examples_section(folder: Path) -> Section | None:
    """The example pictures."""
    table = _table(folder / "examples.csv")
    if table is None or not len(table):
        return None
    shown = table.drop(columns="file").rename(columns={"area": "area above the level"})
    return Section(
        title="What does it look at?",
        text=(
            "Left the picture, right the same under its heat map with a line at the level, then the drawn mask where "
            "there is one. Hits are the surest; escapes and false rejects the worst; doubtful ones go to a person."
        ),
        tables=(("The examples", shown),),
        figures=(("Examples of the test rows", plot_examples(table, folder)),),
    )


def _localisation_section(found: dict[str, Any] | None) -> Section | None:
    """Figures of the heat maps."""
    if found is None:
        return None
    names = {
        "pixel_auroc": "pixel AUROC",
        "aupro": "AUPRO (to 30 % false positive pixels)",
        "iou": "IoU at the level",
        "best_iou": "IoU at the best level of the test rows (not reachable in use)",
        "peak_in_mask": "hottest pixel lies in the mask",
        "defective_with_a_hot_pixel": "defective pictures with a pixel above the level",
        "good_with_a_hot_pixel": "good pictures with a pixel above the level",
        "mean_area_defective": "mean area above the level, defective",
        "mean_area_good": "mean area above the level, good",
        "mean_mask_area": "mean area of the masks",
        "mean_regions": "regions above the level in a defective picture",
    }
    rows = [{"figure": text, "value": found[key]} for key, text in names.items() if found.get(key) is not None]
    masks = f"{found['rows_with_mask']} of them with a mask" if found["rows_with_mask"] else "none with a mask"
    return Section(
        title="Where is the defect?",
        text=f"{found['rows']} test rows, {masks}. Level {found['level']:.3f}: {found['level_from']}.",
        tables=(("Localisation", pd.DataFrame(rows)),),
    )


def _kinds_section(folder: Path, evidence: dict[str, Any]) -> Section:
    """Recall at fixed false rejects, by kind, and the confusion of kinds."""
    recalls = _table(folder / "recalls.csv").rename(columns={"false_reject_fraction": "false rejects at most"})
    tables = [("Defects found at a fixed share of good parts rejected", recalls)]
    figures = []
    kinds = _table(folder / "kinds.csv")
    if kinds is not None and len(kinds):
        tables.append(("Defects found by kind, at the model's threshold", kinds))
        figures.append(("Recall by kind with 95 % intervals", plot_kinds(kinds)))
    text = "An interval is Wilson's, 95 %; the limits at fixed false rejects are read off the test rows."
    confusion = _table(folder / "kind_confusion.csv")
    if confusion is not None:
        tables.append(("True kind (rows) against the kind that was called", confusion))
        text += f" Macro-F1 over good and the kinds: {evidence['kind_macro_f1']:.3f}."
    return Section(title="Which defects are found?", text=text, tables=tuple(tables), figures=tuple(figures))


def _doubt_section(found: dict[str, Any] | None) -> Section | None:
    """Abstention."""
    if found is None:
        return None
    if not found["has_conformal_sets"]:
        return Section(title="When should a person look?", text="This model never abstains: nothing was calibrated.")
    rows = [
        {"what": "pictures that a person should look at", "value": found["rate"]},
        {"what": "of good parts", "value": found["rate_good"]},
        {"what": "of defective parts", "value": found["rate_defective"]},
        {"what": "wrong decisions if all are decided", "value": found["error_all"]},
        {"what": "wrong decisions among the rest", "value": found["error_rest"]},
        {"what": "from", "value": found["error_rest_low"]},
        {"what": "to", "value": found["error_rest_high"]},
    ]
    return Section(
        title="When should a person look?",
        text=(
            "Split conformal sets, calibrated class by class on validation rows: where the set does not name exactly "
            f"one class, the model abstains. Escapes: {found['escapes_all']} if all are decided, "
            f"{found['escapes_rest']} among the rest."
        ),
        tables=(("Abstention on the test rows", pd.DataFrame(rows)),),
    )


def _robustness_section(folder: Path) -> Section | None:
    """Disturbed pictures."""
    table = _table(folder / "robustness.csv")
    if table is None:
        return None
    plain, disturbed = table.iloc[0], table.iloc[1:]
    worst = disturbed.loc[disturbed["flips"].idxmax()]
    return Section(
        title="What if the line changes?",
        text=(
            f"The same {plain['rows']:.0f} test rows, disturbed at three strengths. Most decisions flip under "
            f"{worst['disturbance']} of strength {worst['strength']:.0f}: {worst['flips']:.0%}."
        ),
        tables=(("AUC and decisions that flip against the undisturbed picture", table.drop(columns="rows")),),
        figures=(("Robustness", plot_robustness(table)),),
    )


def _way_section(facts: RunFacts) -> Section:
    """The recommendation against what was run."""
    options = parse_section(DefectOptions, facts.params.options, where="defect_detection.options")
    run = f"This run: transfer {facts.params.train.transfer}, learner {facts.params.train.learner}, way {options.way}."
    try:
        found = recommendation_of(facts)
    except BadInputError as error:
        return Section(title="Which way is recommended?", text=f"{error} {run}")
    return Section(
        title="Which way is recommended?",
        text=(
            f"{found.way.replace('_', ' ').capitalize()} (transfer {found.transfer}, learner {found.learner}). "
            f"{found.reason} {run}"
        ),
    )


def recommendation_of(facts: RunFacts) -> Recommendation:
    """From the labels that training was allowed to see.

    Raises:
        BadInputError: too few for any way.
    """
    manifest = read_manifest(facts.artifacts)
    train = manifest[(manifest["split"] == "train") & manifest["label"].notna() & ~manifest["is_masked"].astype(bool)]
    is_target = train["domain"] == facts.params.prepare.target_domain
    is_defective = train["label"] == facts.vertical.positive_index
    return recommend(
        int((is_target & ~is_defective).sum()),
        int((is_target & is_defective).sum()),
        int((~is_target & is_defective).sum()),
        has_templates=facts.params.train.learner == "golden_template",
    )


def plot_examples(table: pd.DataFrame, folder: Path) -> Figure:
    """The example strips in a grid, each with its group and probability."""
    num_rows = -(-len(table) // COLUMNS_OF_EXAMPLES)
    figure = new_figure(10.0, 1.9 * num_rows + 0.2)
    grid = figure.subplots(num_rows, COLUMNS_OF_EXAMPLES, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
        axes.set_anchor("W")
    for axes, row in zip(grid.flat, table.itertuples(), strict=False):
        with PillowImage.open(folder / row.file) as image:
            axes.imshow(np.asarray(image), interpolation="none")
        truth = row.kind if isinstance(row.kind, str) and row.kind else ("defective" if row.is_defective else "good")
        title = f"{row.group}: {row.probability:.2f} (truth: {truth})"
        axes.set_title(title, loc="left", fontsize=9, color=TEXT_COLOUR)
    return figure


def plot_kinds(table: pd.DataFrame) -> Figure:
    """Recall by kind, the least found first."""
    shown = table.sort_values("recall", kind="stable")
    figure = new_figure(6.4, 0.42 * len(shown) + 1.2)
    axes = quiet_axes(figure.subplots(), title="Recall by kind", x_label="Share found (95 % interval)", y_label="")
    places = np.arange(len(shown))
    error = np.stack([shown["recall"] - shown["low"], shown["high"] - shown["recall"]])
    axes.errorbar(shown["recall"], places, xerr=error, fmt="o", color=COLOURS[0], capsize=2.5, elinewidth=1.2)
    axes.set_yticks(places, [f"{row.kind} ({row.defects})" for row in shown.itertuples()])
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    return figure


def plot_robustness(table: pd.DataFrame) -> Figure:
    """AUC (where there are both classes) and flipped decisions over the strength, one line a disturbance."""
    plain, disturbed = table.iloc[0], table.iloc[1:]
    has_auc = disturbed["auc"].notna().all()
    figure = new_figure(9.0 if has_auc else 5.2, 3.8)
    panels = [("auc", "AUC")] if has_auc else []
    panels.append(("flips", "Decisions that flip"))
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (column, title) in zip(grid, panels, strict=True):
        quiet_axes(axes, title=title, x_label="Strength", y_label="")
        axes.axhline(plain[column], color=BASELINE_COLOUR, linewidth=1.2, linestyle="--", label="undisturbed")
        for place, (name, part) in enumerate(disturbed.groupby("disturbance", sort=False)):
            style = {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place % len(MARKERS)]}
            axes.plot(part["strength"], part[column], label=name, linewidth=1.6, markersize=5, **style)
        axes.set_xticks(sorted(disturbed["strength"].unique()))
        if column == "flips":
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
            axes.set_ylim(bottom=0)
    figure.legend(*grid[-1].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=9)
    return figure


def _table(path: Path) -> pd.DataFrame | None:
    """A CSV that evaluate wrote, or None; `good` and `none` stay words."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""]) if path.exists() else None
