"""What a report of pictures shows beyond the common sections: heat maps, where, robustness, kinds, findings, doubt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from PIL import Image as PillowImage

from core.artifacts import read_json
from core.cases.sections import findings_section, kind_evidence, read_evidence
from core.evaluation.figure_style import BASELINE_COLOUR, COLOURS, MARKERS, TEXT_COLOUR, new_figure, quiet_axes
from core.pictures.words import PictureWords
from core.reporting.run_sections import RunFacts
from core.reporting.sections import Section

COLUMNS_OF_EXAMPLES = 2


def picture_sections(facts: RunFacts, words: PictureWords) -> list[Section]:
    """Examples, localisation, kinds and recalls, findings, doubt, robustness: of what evaluate wrote."""
    folder = facts.artifacts.require("evaluate", "evidence")
    evidence = read_json(folder / "evidence.json")
    found = [
        examples_section(folder, facts.vertical.classes, facts.vertical.positive_index),
        localisation_section(evidence.get("localisation"), words),
        kinds_section(folder, evidence, words),
        findings_section(folder, evidence),
        doubt_section(evidence.get("abstention"), words),
        robustness_section(folder),
    ]
    return [section for section in found if section is not None]


def examples_section(folder: Path, classes: Sequence[str], positive_index: int) -> Section | None:
    """The example pictures."""
    table = read_evidence(folder / "examples.csv")
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
        figures=(("Examples of the test rows", plot_examples(table, folder, classes, positive_index)),),
    )


def localisation_section(found: dict[str, Any] | None, words: PictureWords) -> Section | None:
    """Figures of the heat maps."""
    if found is None:
        return None
    names = {
        "pixel_auroc": "pixel AUROC",
        "aupro": "AUPRO (to 30 % false positive pixels)",
        "iou": "IoU at the level",
        "best_iou": "IoU at the best level of the test rows (not reachable in use)",
        "peak_in_mask": "hottest pixel lies in the mask",
        "positive_with_a_hot_pixel": f"{words.positive} pictures with a pixel above the level",
        "negative_with_a_hot_pixel": f"{words.negative} pictures with a pixel above the level",
        "mean_area_positive": f"mean area above the level, {words.positive}",
        "mean_area_negative": f"mean area above the level, {words.negative}",
        "mean_mask_area": "mean area of the masks",
        "mean_regions": "regions above the level in a positive picture",
    }
    rows = [{"figure": text, "value": found[key]} for key, text in names.items() if found.get(key) is not None]
    masks = f"{found['rows_with_mask']} of them with a mask" if found["rows_with_mask"] else "none with a mask"
    return Section(
        title=f"Where is the {words.finding}?",
        text=f"{found['rows']} test rows, {masks}. Level {found['level']:.3f}: {found['level_from']}.",
        tables=(("Localisation", pd.DataFrame(rows)),),
    )


def kinds_section(folder: Path, evidence: dict[str, Any], words: PictureWords) -> Section:
    """Recall at fixed false rejects, by kind, and the confusion of kinds."""
    recalls = read_evidence(folder / "recalls.csv").rename(columns={"false_alarm_fraction": "false alarms at most"})
    tables, figures, macro = kind_evidence(folder, evidence, words.negative)
    return Section(
        title=f"Which {words.finding}s are found?",
        text="An interval is Wilson's, 95 %; the limits at fixed false alarms are read off the test rows." + macro,
        tables=(("Found at a fixed share of false alarms", recalls), *tables),
        figures=tuple(figures),
    )


def doubt_section(found: dict[str, Any] | None, words: PictureWords) -> Section | None:
    """Abstention."""
    if found is None:
        return None
    if not found["has_conformal_sets"]:
        return Section(title="When should a person look?", text="This model never abstains: nothing was calibrated.")
    rows = [
        {"what": "pictures that a person should look at", "value": found["rate"]},
        {"what": f"of {words.negative} pictures", "value": found["rate_negative"]},
        {"what": f"of {words.positive} pictures", "value": found["rate_positive"]},
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


def robustness_section(folder: Path) -> Section | None:
    """Disturbed pictures."""
    table = read_evidence(folder / "robustness.csv")
    if table is None:
        return None
    plain, disturbed = table.iloc[0], table.iloc[1:]
    worst = disturbed.loc[disturbed["flips"].idxmax()]
    return Section(
        title="What if the pictures change?",
        text=(
            f"The same {plain['rows']:.0f} test rows, disturbed at three strengths. Most decisions flip under "
            f"{worst['disturbance']} of strength {worst['strength']:.0f}: {worst['flips']:.0%}."
        ),
        tables=(("AUC and decisions that flip against the undisturbed picture", table.drop(columns="rows")),),
        figures=(("Robustness", plot_robustness(table)),),
    )


def plot_examples(table: pd.DataFrame, folder: Path, classes: Sequence[str], positive_index: int) -> Figure:
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
        truth = (
            row.kind
            if isinstance(row.kind, str) and row.kind
            else classes[positive_index if row.is_positive else 1 - positive_index]
        )
        title = f"{row.group}: {row.probability:.2f} (truth: {truth})"
        axes.set_title(title, loc="left", fontsize=9, color=TEXT_COLOUR)
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
