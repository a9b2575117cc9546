"""What the overview tells of a vertical that forecasts: its loss against the rival's, and what transfer gave."""

from __future__ import annotations

from typing import Any

import streamlit as st

from apps.page import Page
from core.forecasting.forecast_ledger import ALL_HORIZONS

COLOURS = {"gain": "green", "better": "green", "negative transfer": "red", "worse": "red"}


def show_forecast_card(page: Page, train: dict[str, Any], metrics: dict[str, Any], ledger: dict[str, Any]) -> None:
    """The loss of the first horizon with its interval, and the ledger's two verdicts, all horizons together."""
    days, told = next(iter(metrics["horizons"].items()))
    left, right = st.columns([1, 1])
    left.metric(
        page.text("loss_of_days", span=page.days(days)),
        f"{told['qlike']['value']:.3f}",
        f"{told['qlike']['low']:.3f} – {told['qlike']['high']:.3f}",
        delta_color="off",
        delta_arrow="off",
        help=page.text("common.interval"),
    )
    lines = [
        f"**{page.text('champion')}**: {train['method']}",
        f"**{page.text('trained')}**: {train['last_day']}",
        f"**{page.text('target')}**: {ledger['target_domain']}",
        f"**{page.text('sources')}**: {', '.join(ledger['source_domains']) or '–'}",
    ]
    right.markdown("  \n".join(lines))
    entry = next(
        (
            entry
            for entry in ledger["entries"]
            if (entry["method"], entry["budget"], entry["horizon"])
            == (metrics["method"], metrics["history"], ALL_HORIZONS)
        ),
        None,
    )
    if entry is None:
        st.markdown(f"**{page.text('verdict')}**: :gray-badge[{page.text('unproven')}]")
        return
    if entry.get("transfer_difference") is not None:
        _show_verdict(page, entry["verdict"], entry["from_scratch"], entry, "transfer_")
    if entry["difference"] is not None:
        _show_verdict(page, entry["standing"], ledger["baseline"], entry, "")


def _show_verdict(page: Page, word: str, other: str, entry: dict[str, Any], prefix: str) -> None:
    """The word, against which method, and the gain with its interval."""
    gain = " ".join(
        [
            f"{entry[f'{prefix}difference']:+.4f}",
            f"[{entry[f'{prefix}difference_low']:+.4f}, {entry[f'{prefix}difference_high']:+.4f}]",
        ]
    )
    colour = COLOURS.get(word, "gray")
    st.markdown(f"**{page.text('against', method=other)}**: :{colour}-badge[{page.word(word)}] {gain} QLIKE")
