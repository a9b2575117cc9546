"""All verticals as cards: what is in use, how good, what transfer gave, and whether it may be released."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from apps.forecast_card import show_forecast_card
from apps.page import Page
from apps.page_head import is_synthetic
from apps.value_card import show_value_card
from apps.verdicts import verdict_text
from core.errors import BadInputError, CrossdomainError, MissingArtifactError
from core.evaluation.ledger import champion_verdict
from core.lifecycle.served_model import served_model
from core.vertical import vertical_names

RELEASE_COLOURS = {"ship": "green", "hold": "orange", "refuse": "red"}
VERDICT_COLOURS = {"gain": "green", "negative transfer": "red"}
# Siddiqi 2006: below 0.1 no change to speak of, above 0.25 a large one.
DRIFT_LIGHTS = ((0.1, "drift_none", "green"), (0.25, "drift_some", "orange"), (float("inf"), "drift_much", "red"))


@dataclass(frozen=True)
class Card:
    """What is told of one run."""

    train: dict[str, Any]
    metrics: dict[str, Any]
    ledger: dict[str, Any]
    release: dict[str, Any]


def show(page: Page) -> None:
    """A card a vertical, two in a row."""
    st.title(page.text("title"))
    st.caption(page.text("lead"))
    columns = st.columns(2)
    for place, name in enumerate(vertical_names()):
        with columns[place % 2].container(border=True):
            _show_card(replace(page, vertical_name=name))


def _show_card(page: Page) -> None:
    """One vertical; a missing or broken run says so in its own card and leaves the others alone."""
    st.subheader(page.word(page.vertical.title))
    try:
        card = _read_card(page)
    except CrossdomainError as error:
        if isinstance(error, MissingArtifactError):
            st.write(page.text("no_run"))
        else:
            st.error(error.message, icon=":material/broken_image:")
        st.code(f"crossdomain run {page.vertical_name}", language="bash")
        return
    if is_synthetic(page):
        st.badge("SYNTHETIC", icon=":material/science:", color="violet")
    if page.vertical.forecasts:
        show_forecast_card(page, card.train, card.metrics, card.ledger)
    elif page.vertical.task == "regression":
        show_value_card(page, card.train, card.metrics, card.ledger)
    else:
        _show_headline(page, card)
        _show_transfer(page, card)
    _show_lights(page, card)


def _read_card(page: Page) -> Card:
    """Raises MissingArtifactError where the run is not complete.

    A clone has the metrics that were committed, and nothing that tells whether their domains were generated: no run.
    """
    run = page.run
    run.read_json("prepare", "specs.json")
    return Card(
        run.read_json("train", "train_metrics.json"),
        run.read_json("evaluate", "metrics.json"),
        run.read_json("compare", "ledger_metrics.json"),
        run.read_json("report", "release_metrics.json"),
    )


def _show_headline(page: Page, card: Card) -> None:
    """The first metric with its interval; champion, date and domains."""
    name = page.vertical.metrics[0]
    found = card.metrics[name]
    left, right = st.columns([1, 1])
    left.metric(
        page.metric(name),
        f"{found['value']:.3f}",
        f"{found['low']:.3f} – {found['high']:.3f}",
        delta_color="off",
        delta_arrow="off",
        help=page.text("common.interval"),
    )
    version = served_model(page.root, page.vertical_name).version
    told = f" · {version}" if version else ""
    lines = [f"**{page.text('champion')}**: {card.train['transfer']} · {card.train['learner']}{told}"]
    if other := page.run.other_champion:
        lines.append(f":orange-badge[{page.text('other_serves', version=other)}]")
    if page.run.has_model:
        time = datetime.fromtimestamp((page.run.model_folder / "manifest.json").stat().st_mtime, tz=UTC)
        lines.append(f"**{page.text('trained')}**: {time:%Y-%m-%d}")
    lines.append(f"**{page.text('target')}**: {card.metrics['domain']}")
    lines.append(f"**{page.text('sources')}**: {', '.join(card.ledger.get('source_domains') or ['–'])}")
    right.markdown("  \n".join(lines))


def _show_transfer(page: Page, card: Card) -> None:
    """The baseline and the champion at the largest budget, and the verdict."""
    entries = {(entry["budget"], entry["method"]): entry for entry in card.ledger["entries"]}
    try:
        verdict = champion_verdict(card.ledger, card.train["transfer"])
    except BadInputError:
        st.markdown(f"**{page.text('verdict')}**: :gray-badge[{page.text('unproven')}]")
        return
    budget = verdict["budget"]
    before, after = entries.get((budget, card.ledger["baseline"])), entries[budget, card.train["transfer"]]
    told = [page.text("after", value=f"{after['mean']:.3f}")]
    if before is not None:
        told.insert(0, page.text("before", value=f"{before['mean']:.3f}"))
    colour = VERDICT_COLOURS.get(verdict["verdict"], "gray")
    st.markdown(
        f"**{page.text('before_after')}** ({page.text('labels', budget=page.word(budget))}): {' → '.join(told)}"
    )
    told = verdict_text(page, card.ledger, verdict)
    st.markdown(f"**{page.text('verdict')}**: :{colour}-badge[{page.text(verdict['verdict'])}] {told}")


def _show_lights(page: Page, card: Card) -> None:
    """Calibration, drift and release."""
    psi = card.metrics.get("psi_score_valid_to_test")
    parts = [f"**{page.text('calibration')}**: {card.metrics['ece']['value']:.3f}"] if "ece" in card.metrics else []
    if psi is not None:
        word, colour = next((word, colour) for limit, word, colour in DRIFT_LIGHTS if psi < limit)
        parts.append(f"**{page.text('drift')}**: :{colour}-badge[{page.text(word)} {psi:.2f}]")
    decision = card.release["decision"]
    parts.append(f"**{page.text('release')}**: :{RELEASE_COLOURS[decision]}-badge[{page.text(decision)}]")
    st.markdown(" · ".join(parts))
