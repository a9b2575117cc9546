"""The head of every page, and what it shows where the run has not written what it needs or a file is damaged."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from apps.page import Page
from core.errors import CrossdomainError, MissingArtifactError

LOGGER = logging.getLogger("crossdomain.dashboard")


@contextmanager
def told_errors(page: Page) -> Iterator[None]:
    """Inside, what is missing or broken is told on the page with its repair, and anything else goes to the log."""
    try:
        yield
    except MissingArtifactError as error:
        show_empty(page, error)
    except CrossdomainError as error:
        show_broken(page, error)
    except Exception:
        LOGGER.exception("page %s of %s", page.name, page.vertical_name)
        st.error(page.text("common.failed"), icon=":material/error:")


def show_empty(page: Page, error: CrossdomainError) -> None:
    """The page's title, that there is nothing yet, and the command that makes it."""
    st.title(page.text("title"))
    st.info(f"{page.text('common.nothing_yet')} {error.message}", icon=":material/info:")
    st.write(page.text("common.run_command"))
    st.code(f"crossdomain run {page.vertical_name}", language="bash")


def show_broken(page: Page, error: CrossdomainError) -> None:
    """What cannot be read, and the repair."""
    st.error(f"{page.text('common.broken')} {error.message}", icon=":material/broken_image:")
    if error.repair:
        st.write(error.repair)


def show_head(page: Page, lead: str = "lead", **values: str) -> None:
    """The page's title, SYNTHETIC where a domain was generated, whether another model serves, what the page is for."""
    st.title(page.text("title"))
    if is_synthetic(page):
        st.warning(page.text("common.synthetic"), icon=":material/science:")
    if champion := page.run.other_champion:
        st.info(page.text("common.other_champion", version=champion), icon=":material/swap_horiz:")
    if lead:
        st.caption(page.text(lead, **values))


def is_synthetic(page: Page) -> bool:
    """Whether a domain of the run was generated."""
    specs = page.run.find_json("prepare", "specs.json") or {}
    return any(spec.get("is_synthetic") for spec in specs.values())
