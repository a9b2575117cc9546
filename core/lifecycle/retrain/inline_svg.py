"""A matplotlib figure as SVG inside a page: sharp at any width, text that can be read out, colours of the page."""

from __future__ import annotations

import io
import re

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

from core.evaluation.figure_style import BASELINE_COLOUR, COLOURS, GRID_COLOUR, TEXT_COLOUR

NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "retrain"}  # text stays text; the same figure, the same file
# Colours that the page decides, so that a dark page has light lines.
PAGE_COLOURS = {
    TEXT_COLOUR: "var(--ink)",
    BASELINE_COLOUR: "var(--ink)",
    GRID_COLOUR: "var(--line)",
    "#FFFFFF": "var(--paper)",
    COLOURS[0]: "var(--figure-blue)",
}
NUMBERED_ID = re.compile(r' id="(?:[A-Za-z]+|matplotlib\.axis)(?:\d[a-z]+)?_\d+"')  # twice in a page of two figures
STYLE_ELEMENT = re.compile(r"<style.*?</style>", re.DOTALL)  # would hold for the whole page
FONT_FAMILY = re.compile(r"font-family: [^;\"]+")
SIZE = re.compile(r'<svg ([^>]*?)width="[\d.]+pt" height="[\d.]+pt"')


def inline_svg(figure: Figure, label: str) -> Markup:
    """An `<svg>` element without a size of its own. label: what it shows, for those who cannot see it."""
    buffer = io.StringIO()
    with matplotlib.rc_context(SETTINGS):
        figure.savefig(buffer, format="svg", transparent=True, metadata=NO_METADATA)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for pattern, instead in ((NUMBERED_ID, ""), (STYLE_ELEMENT, ""), (FONT_FAMILY, "font-family: inherit")):
        text = pattern.sub(instead, text)
    for colour, instead in PAGE_COLOURS.items():
        text = text.replace(f": {colour.lower()}", f": {instead}")
    start = Markup('<svg role="img" aria-label="{}" ').format(label)
    return Markup(SIZE.sub(lambda found: start + Markup(found[1]), text, count=1))
