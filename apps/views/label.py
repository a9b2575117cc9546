"""The labelling queue: doubtful cases, one at a time, by keyboard; agreement; and the labels as a batch."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from apps.actions import add_label, make_batch, undo_label
from apps.evidence import show_alone, show_case
from apps.models import open_scorer, rows_of
from apps.page import Page
from apps.page_head import show_head
from apps.plain_text import plain
from apps.stores import open_page_store
from apps.tables import show_rows
from core.lifecycle.labelling import label_queue
from core.lifecycle.store import Store

SKIPPED, LAST, SHOWN_AT = "label_skipped", "label_last", "label_shown_at"


def show(page: Page) -> None:
    """The case in front, then agreement and the batch."""
    metrics = page.run.read_json("evaluate", "metrics.json")
    domain = metrics["domain"]
    store = open_page_store(page)
    show_head(page)
    if not page.may("label"):
        st.info(page.text("common.not_allowed", role=page.text(f"common.role_{page.visitor.role}")))
    else:
        queue, num_done = _queue(page, store, domain, float(metrics["threshold"]))
        st.caption(page.text("left", done=num_done, left=len(queue)))
        if len(queue):
            _show_front(page, domain, queue.iloc[0])
        else:
            st.success(page.text("empty"))
    _show_agreement(page, store, domain)
    _show_batch(page, domain)


def label_words(page: Page) -> list[str]:
    """The domain's words for its classes, negative ones first."""
    specs = page.run.read_json("prepare", "specs.json")
    spec = next(iter(specs.values()))
    return [*spec.get("negative", []), *spec.get("positive", [])]


def queue_rows(page: Page) -> pd.DataFrame:
    """Scored rows that may be asked about: unlabelled ones of every split, and validation and test rows."""
    names = ("unlabelled_predictions.parquet", "valid_predictions.parquet", "predictions.parquet")
    parts = [part for name in names if (part := page.run.find_table("evaluate", name)) is not None and len(part)]
    if not parts:
        parts = [page.run.read_table("evaluate", names[-1])]
    return pd.concat(parts, ignore_index=True).drop_duplicates("sample_id")


def _queue(page: Page, store: Store, domain: str, threshold: float) -> tuple[pd.DataFrame, int]:
    """What is left for this visitor, and how many cases they have labelled."""
    mine = store.current_labels(page.vertical_name, domain, who=page.visitor.name)
    everybody = store.current_labels(page.vertical_name, domain)
    done = {*mine["sample_id"], *st.session_state.get(SKIPPED, [])}
    queue = label_queue(
        queue_rows(page),
        positive_class=page.vertical.positive_class,
        threshold=threshold,
        labelled=set(everybody["sample_id"]),
        done=done,
    )
    return queue, len(mine)


def _show_front(page: Page, domain: str, case: Any) -> None:
    """The case, a button a word, skip and undo."""
    sample_id = case["sample_id"]
    if st.session_state.get(SHOWN_AT, ("", 0.0))[0] != sample_id:
        st.session_state[SHOWN_AT] = (sample_id, time.monotonic())
    words = label_words(page)
    st.subheader(plain(sample_id))
    if case["is_second_opinion"]:
        st.caption(page.text("second"))
    buttons = st.columns(len(words) + 2)
    note = st.text_input(page.text("note"), key=f"label_note_{sample_id}", max_chars=500)
    for place, (column, word) in enumerate(zip(buttons, words, strict=False), start=1):
        shortcut = str(place) if place <= 9 else None
        if column.button(plain(word), shortcut=shortcut, width="stretch", type="primary", key=f"label_word_{place}"):
            seconds = time.monotonic() - st.session_state[SHOWN_AT][1]
            st.session_state[LAST] = add_label(page, domain, sample_id, word, seconds=round(seconds, 1), note=note)
            st.rerun()
    if buttons[-2].button(page.text("skip"), shortcut="s", width="stretch", key="label_skip"):
        st.session_state.setdefault(SKIPPED, []).append(sample_id)
        st.rerun()
    if buttons[-1].button(page.text("undo"), shortcut="u", width="stretch", key="label_undo"):
        _undo(page)
    st.caption(page.text("keys"))
    _show_evidence(page, sample_id)


def _undo(page: Page) -> None:
    """Take this session's last label back."""
    last = st.session_state.pop(LAST, None)
    if last is None:
        st.toast(page.text("nothing_to_undo"))
        return
    undo_label(page, last)
    st.toast(page.text("undone"))
    st.rerun()


def _show_evidence(page: Page, sample_id: str) -> None:
    """The case as it came; the model's view only when asked."""
    samples = rows_of(page, [sample_id])
    if not len(samples):
        return
    if st.toggle(page.text("reveal"), key=f"label_reveal_{sample_id}"):
        show_case(page, open_scorer(page), samples)
        return
    if page.vertical.modality == "image":
        left, _ = st.columns([2, 1])
        with left:
            show_alone(page, samples)
    else:
        show_alone(page, samples)


def _show_agreement(page: Page, store: Store, domain: str) -> None:
    """Kappa of the two labellers with most cases in common, and where they differ."""
    st.subheader(page.text("agreement"))
    found = store.agreement(page.vertical_name, domain)
    if found is None:
        st.write(page.text("no_agreement"))
        return
    figures = {name: f"{getattr(found, name):.2f}" for name in ("kappa", "low", "high", "observed")}
    first, second = found.labellers
    st.write(page.text("kappa", first=first, second=second, count=found.num_samples, **figures))
    if len(found.disagreements):
        with st.expander(page.text("disagreements")):
            show_rows(page, found.disagreements)


def _show_batch(page: Page, domain: str) -> None:
    """The button that hands the labels to the pipeline."""
    st.subheader(page.text("batch"))
    st.caption(page.text("batch_text"))
    if not page.may("make_batch"):
        st.info(page.text("common.not_allowed", role=page.text(f"common.role_{page.visitor.role}")))
        return
    default = f"labels_{datetime.now(tz=UTC):%Y-%m-%d_%H%M}"
    name = st.text_input(page.text("batch_name"), default, max_chars=60)
    if st.button(page.text("make"), icon=":material/inventory_2:"):
        made = make_batch(page, domain, name)
        st.success(str(made))
        if made.batch is not None:
            st.code(f"dvc repro report@{page.vertical_name}", language="bash")
