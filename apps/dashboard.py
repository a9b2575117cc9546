"""The dashboard: `streamlit run apps/dashboard.py`, or `crossdomain dashboard`. A router; each page is in `views/`."""

from __future__ import annotations

import importlib
import os
from functools import partial
from pathlib import Path

import streamlit as st
from PIL import Image, ImageDraw

from apps.garbage import leave_out
from apps.language import DEFAULT, LANGUAGES, translate, word
from apps.page import IMPORT_LOCK, Page, Visitor
from apps.page_head import told_errors
from apps.sign_in import current_visitor, show_sign_out
from core.evaluation.figure_style import COLOURS
from core.vertical import Vertical, load_vertical, vertical_names

ROOT_VARIABLE = "CROSSDOMAIN_ROOT"
# name of the page's module -> symbol in the menu
VIEWS = {
    "overview": ":material/dashboard:",
    "transfer": ":material/swap_horiz:",
    "score": ":material/fact_check:",
    "cases": ":material/table_rows:",
    "decide": ":material/tune:",
    "trust": ":material/verified_user:",
    "label": ":material/label:",
    "history": ":material/history:",
}
# The same of verticals that forecast.
SERIES_VIEWS = {
    "overview": VIEWS["overview"],
    "forecasts": ":material/show_chart:",
    "proof": ":material/swap_horiz:",
    "history": VIEWS["history"],
}
# The same of verticals that predict a number.
VALUE_VIEWS = {
    "overview": VIEWS["overview"],
    "values_overview": ":material/query_stats:",
    "values_score": ":material/calculate:",
    "values_proof": ":material/swap_horiz:",
    "history": VIEWS["history"],
}
FIRST = "overview"  # stands at the address itself, without a path


def project_folder() -> Path:
    """The clone that is shown: CROSSDOMAIN_ROOT, else the one that this file is in."""
    return Path(os.environ.get(ROOT_VARIABLE) or Path(__file__).resolve().parent.parent)


def page_icon() -> Image.Image:
    """Two domains and the way between them; drawn here, since a symbol by name would be fetched from elsewhere."""
    icon = Image.new("RGBA", (32, 32))
    pen = ImageDraw.Draw(icon)
    pen.line((9, 16, 23, 16), fill=COLOURS[2], width=4)
    pen.ellipse((1, 8, 17, 24), fill=COLOURS[0])
    pen.ellipse((19, 10, 31, 22), fill=COLOURS[1])
    return icon


def choose(name: str, choices: list[str], label: str, shown: dict[str, str]) -> str:
    """A choice in the sidebar that stands in the address, so that it can be linked to and outlives a page switch."""
    if name not in st.session_state:
        asked = st.query_params.get(name)
        st.session_state[name] = asked if asked in choices else choices[0]
    chosen = st.sidebar.selectbox(
        label,
        choices,
        key=f"choose_{name}",
        index=choices.index(st.session_state[name]),
        format_func=lambda word: shown.get(word, word),
    )
    st.session_state[name] = chosen
    st.query_params[name] = chosen
    return chosen


def views_of(vertical: Vertical) -> dict[str, str]:
    """The pages of a vertical, by what it gives: forecasts, predicted numbers, or scored cases."""
    if vertical.forecasts:
        return SERIES_VIEWS
    return VALUE_VIEWS if vertical.predicts_number else VIEWS


def show_view(name: str, visitor: Visitor, root: Path, vertical: str, language: str) -> None:
    """One page."""
    page = Page(name, root, vertical, visitor, language)
    with told_errors(page):
        with IMPORT_LOCK:
            view = importlib.import_module(f"apps.views.{name}")
        view.show(page)
        leave_out(name, vertical)


def main() -> None:
    """Sign in, choose vertical and language, show the page."""
    st.set_page_config(page_title="Crossdomain", page_icon=page_icon(), layout="wide")
    root = project_folder()
    names = vertical_names()
    language = choose("lang", list(LANGUAGES), "Language / 语言", LANGUAGES)
    titles = {name: word("words", load_vertical(name).title, language) for name in names}
    visitor = current_visitor(root, language)
    vertical = choose("vertical", names, translate("common.vertical", language), titles)
    pages = [
        st.Page(
            partial(show_view, name, visitor, root, vertical, language),
            title=translate(f"{name}.title", language),
            icon=icon,
            url_path="" if name == FIRST else name,
            default=name == FIRST,
        )
        for name, icon in views_of(load_vertical(vertical)).items()
    ]
    st.navigation(pages).run()
    show_sign_out(visitor, language or DEFAULT)


if __name__ == "__main__":
    main()
