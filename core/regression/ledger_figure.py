"""The ledger of predicted numbers as a picture, with the unit at its axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from core.evaluation.ledger_plot import plot_ledger
from core.regression.plots import NUMBER
from core.regression.quantity import with_unit


def plot_value_ledger(ledger: Mapping[str, Any]) -> Figure:
    """As `core.evaluation.ledger_plot.plot_ledger`; ledger: what the stage `value_compare` wrote."""
    figure = plot_ledger(ledger)
    curves, gains = figure.axes
    curves.yaxis.set_major_formatter(NUMBER)
    gains.yaxis.set_major_formatter(NUMBER)
    gains.set_ylabel(f"{with_unit('Gain', ledger['metric_unit'])}, above 0 is better")
    return figure
