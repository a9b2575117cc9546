"""One look for all figures: colour-blind-safe colours, quiet axes, no global state."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe & Ito 2008, told apart with the common kinds of colour blindness; black is kept for baselines.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "<", ">")
BASELINE_COLOUR = "#000000"
TEXT_COLOUR, GRID_COLOUR = "#333333", "#DDDDDD"


def new_figure(width_inch: float, height_inch: float) -> Figure:
    """A figure that belongs to nobody but the caller (pyplot would keep it alive)."""
    return Figure(figsize=(width_inch, height_inch), layout="constrained", facecolor="white")


def quiet_axes(axes: Axes, *, title: str, x_label: str, y_label: str) -> Axes:
    """Title on the left, two spines, a light grid behind the data."""
    axes.set_title(title, loc="left", fontsize=11, color=TEXT_COLOUR, fontweight="bold")
    axes.set_xlabel(x_label, fontsize=9.5, color=TEXT_COLOUR)
    axes.set_ylabel(y_label, fontsize=9.5, color=TEXT_COLOUR)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")
    axes.tick_params(labelsize=9, colors=TEXT_COLOUR)
    axes.grid(color=GRID_COLOUR, linewidth=0.7)
    axes.set_axisbelow(True)
    return axes
