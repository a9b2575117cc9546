"""What a report shows of kinds and findings: how many are found, what is taken for what, and how sure that is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from core.artifacts import read_json
from core.evaluation.figure_style import COLOURS, new_figure, quiet_axes
from core.reporting.run_sections import RunFacts
from core.reporting.sections import Section


def case_sections(facts: RunFacts) -> list[Section]:
    """Kinds and findings of what evaluate wrote; none where the model tells neither."""
    folder = facts.artifacts.require("evaluate", "evidence")
    evidence = read_json(folder / "evidence.json")
    negative = facts.vertical.classes[1 - facts.vertical.positive_index]
    found = [kinds_section(folder, evidence, negative), findings_section(folder, evidence)]
    return [section for section in found if section is not None]


def kinds_section(folder: Path, evidence: dict[str, Any], negative: str) -> Section | None:
    """Recall by kind, the confusion of kinds and macro-F1 with its interval."""
    if "kind_macro_f1_low" not in evidence:
        return None
    tables, figures, text = kind_evidence(folder, evidence, negative)
    low, high = evidence["kind_macro_f1_low"], evidence["kind_macro_f1_high"]
    return Section(
        title="Which kinds are found?",
        text=(
            f"Below the threshold a case is called {negative}, else by its likeliest kind; one that training met less "
            f"than twice is left out. An interval of a share is Wilson's, 95 %.{text} Bootstrap over whole groups: "
            f"{low:.3f} to {high:.3f}."
        ),
        tables=tuple(tables),
        figures=tuple(figures),
    )


def kind_evidence(
    folder: Path, evidence: dict[str, Any], negative: str
) -> tuple[list[tuple[str, pd.DataFrame]], list[tuple[str, Figure]], str]:
    """(tables with captions, figures with captions, what is said of macro-F1), as far as evaluate wrote them."""
    tables, figures, text = [], [], ""
    kinds = read_evidence(folder / "kinds.csv")
    if kinds is not None and len(kinds):
        tables.append(("Found by kind, at the model's threshold", kinds))
        figures.append(("Recall by kind with 95 % intervals", plot_kinds(kinds)))
    confusion = read_evidence(folder / "kind_confusion.csv")
    if confusion is not None:
        tables.append(("True kind (rows) against the kind that was called", confusion))
        text = f" Macro-F1 over {negative} and the kinds: {evidence['kind_macro_f1']:.3f}."
    return tables, figures, text


def findings_section(folder: Path, evidence: dict[str, Any]) -> Section | None:
    """The figures of each finding by itself."""
    table = read_evidence(folder / "findings.csv")
    if table is None:
        return None
    macro = evidence["finding_macro_auc"]
    mean = f" Mean AUC of the findings measured: {macro:.3f}." if macro is not None else " No finding was measured."
    names = {"rows": "known rows", "average_precision": "average precision"}
    return Section(
        title="Which findings are there?",
        text=(
            "Each finding has a probability of its own, learned and measured on the rows where it is known: unknown is "
            "not counted as absent. From low to high: bootstrap interval of the AUC over whole groups." + mean
        ),
        tables=(("Findings", table.rename(columns=names)),),
    )


def plot_kinds(table: pd.DataFrame) -> Figure:
    """Recall by kind, the least found first."""
    shown = table.sort_values("recall", kind="stable")
    figure = new_figure(6.4, 0.42 * len(shown) + 1.2)
    axes = quiet_axes(figure.subplots(), title="Recall by kind", x_label="Share found (95 % interval)", y_label="")
    places = np.arange(len(shown))
    error = np.stack([shown["recall"] - shown["low"], shown["high"] - shown["recall"]])
    axes.errorbar(shown["recall"], places, xerr=error, fmt="o", color=COLOURS[0], capsize=2.5, elinewidth=1.2)
    axes.set_yticks(places, [f"{row.kind} ({row.positives})" for row in shown.itertuples()])
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    return figure


def read_evidence(path: Path) -> pd.DataFrame | None:
    """A CSV that evaluate wrote, or None; `none` stays a word."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""]) if path.exists() else None
