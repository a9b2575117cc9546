"""Altair figures in one look; colours that colour-blind readers tell apart, shapes beside them.

Encodings are objects of their own (`alt.X("at:Q")`, not "at:Q"): Altair takes many times as long to read a text.
"""

from __future__ import annotations

import altair as alt
import pandas as pd

from core.evaluation.figure_style import COLOURS

DASHES = ([1, 0], [6, 3], [2, 2])
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "stroke")
GOOD, BAD, QUIET = "#009E73", "#D55E00", "#7F7F7F"
VERDICT_COLOURS = {"gain": GOOD, "no difference": QUIET, "negative transfer": BAD, "baseline": "#56B4E9"}
HEIGHT = 320
ROW_HEIGHT, ROOM_FOR_AXIS = 30, 70  # of charts with a row an entry; Streamlit counts the axis in


def colour(field: str, names: list[str], title: str, *, is_line: bool = False) -> alt.Color:
    """A colour for each name, the same in every figure that has these names in this order."""
    scale = alt.Scale(domain=names, range=[COLOURS[place % len(COLOURS)] for place in range(len(names))])
    return alt.Color(f"{field}:N", scale=scale, title=title, legend=legend(is_line=is_line))


def legend(title: str | None = "", *, is_line: bool = False) -> alt.Legend:
    """Below the figure, in two columns, which a phone has room for. title: an empty one is the encoding's."""
    told = {} if title == "" else {"title": title}
    symbol = {"symbolType": "stroke", "symbolStrokeWidth": 2} if is_line else {}
    return alt.Legend(orient="bottom", columns=2, labelLimit=190, **symbol, **told)


def dash(field: str, names: list[str]) -> alt.StrokeDash:
    """Whole lines, then dashed ones where the colours begin anew; told by the colours' legend."""
    dashes = [DASHES[place // len(COLOURS) % len(DASHES)] for place in range(len(names))]
    return alt.StrokeDash(f"{field}:N", scale=alt.Scale(domain=names, range=dashes))


def shape(field: str, names: list[str]) -> alt.Shape:
    """A shape for each name, for those who cannot tell the colours."""
    scale = alt.Scale(domain=names, range=[SHAPES[place % len(SHAPES)] for place in range(len(names))])
    return alt.Shape(f"{field}:N", scale=scale, legend=None)


def hints(**formats: str) -> list[alt.Tooltip]:
    """What is told of the point under the pointer: column -> format, empty for words."""
    return [alt.Tooltip(name, format=form) if form else alt.Tooltip(name) for name, form in formats.items()]


def interval_points(
    table: pd.DataFrame, *, value: str, low: str, high: str, label: str, title: str, zero: float | None = None
) -> alt.LayerChart:
    """A point and its interval a row, labels down the side; a rule at `zero`."""
    order = list(table[label])
    base = alt.Chart(table).encode(
        y=alt.Y(f"{label}:N", sort=order, title=None, axis=alt.Axis(labelLimit=260, labelOverlap=False))
    )
    bars = base.mark_rule(strokeWidth=2, color=COLOURS[0]).encode(
        x=alt.X(f"{low}:Q", title=title, scale=alt.Scale(zero=False)), x2=alt.X2(f"{high}:Q")
    )
    points = base.mark_point(filled=True, size=70, color=COLOURS[0]).encode(
        x=alt.X(f"{value}:Q"), tooltip=hints(**{label: "", value: ".3f", low: ".3f", high: ".3f"})
    )
    layers = [bars, points]
    if zero is not None:
        rule = alt.Chart(pd.DataFrame({"zero": [zero]})).mark_rule(strokeDash=[4, 3], color=QUIET)
        layers.insert(0, rule.encode(x=alt.X("zero:Q")))
    return alt.layer(*layers).properties(height=ROOM_FOR_AXIS + ROW_HEIGHT * len(table))


def contribution_bars(table: pd.DataFrame) -> alt.Chart:
    """What raised and what lowered the log-odds; columns `column` and `contribution`, largest first.

    Its title is for above it: on a phone an axis' title does not fit beside the names.
    """
    shown = table.assign(direction=(table["contribution"] > 0).map({True: "+", False: "−"}))
    scale = alt.Scale(domain=["+", "−"], range=[BAD, COLOURS[0]])
    names = alt.Axis(labelLimit=220, labelOverlap=False)
    return (
        alt.Chart(shown)
        .mark_bar()
        .encode(
            x=alt.X("contribution:Q", title=None),
            y=alt.Y("column:N", sort=list(shown["column"]), title=None, axis=names),
            color=alt.Color("direction:N", scale=scale, legend=None),
            tooltip=hints(column="", contribution="+.3f"),
        )
        .properties(height=ROOM_FOR_AXIS + ROW_HEIGHT * len(shown))
    )
