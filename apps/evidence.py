"""The evidence of single cases, whatever they are: a picture with its heat map, or a table row with its reasons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from apps.charts import contribution_bars
from apps.models import model_digest, rows_of
from apps.page import Page
from apps.tables import show_rows
from core.data.samples import Samples
from core.images.image import images_of

MAX_VALUE_CHARACTERS = 300
MASKED = "•••"


def show_case(page: Page, scorer: Any, samples: Samples) -> None:
    """The first row: picture beside heat map, or values beside contributions."""
    if page.vertical.modality == "image":
        _show_picture(page, scorer, samples)
    else:
        _show_row(page, scorer, samples)


def show_alone(page: Page, samples: Samples) -> None:
    """The first row as it came, without what the model makes of it."""
    if page.vertical.modality == "image":
        st.image(_pixels(samples), width="stretch")
    else:
        show_rows(page, values_table(page, samples))


def show_neighbours(page: Page, case: Samples, neighbours: Samples, captions: list[str]) -> None:
    """Training cases beside the case: pictures in a row, or one table with a column each."""
    if page.vertical.modality == "image":
        for column, place in zip(st.columns(len(captions)), range(len(captions)), strict=True):
            column.image(_pixels(neighbours.take([place])), caption=captions[place], width="stretch")
        return
    table = values_table(page, case)[["column", "value"]].rename(columns={"value": page.text("cases.case")})
    for place, caption in enumerate(captions):
        table[f"{place + 1}. {caption}"] = values_table(page, neighbours.take([place]))["value"]
    show_rows(page, table)


def show_near(page: Page, case: Samples, near: pd.DataFrame) -> None:
    """The rows of `nearest_neighbours` of one case, nearest first; nothing where they are no longer prepared."""
    near = near.sort_values("rank")
    found = rows_of(page, list(near["neighbour_id"]))
    if len(found) < len(near) or not len(near):
        return
    st.subheader(page.text("cases.neighbours"))
    told = [
        page.text(
            "cases.neighbour", label=row.neighbour_label, domain=row.neighbour_domain, distance=f"{row.distance:.2f}"
        )
        for row in near.itertuples()
    ]
    show_neighbours(page, case, found, told)


def values_table(page: Page, samples: Samples) -> pd.DataFrame:
    """Column and value of the first row; personal values are masked for those who may not see them."""
    hidden = set() if page.may("see_personal") else set(personal_columns(page))
    rows = []
    for feature in samples.schema.features:
        value = samples.inputs[feature.name].iloc[0]
        shown = MASKED if feature.name in hidden else _shown(value)
        rows.append({"column": feature.name, "value": shown, "unit": feature.unit, "meaning": feature.meaning})
    return pd.DataFrame(rows)


def personal_columns(page: Page) -> list[str]:
    """Of the target domain: protected attributes, and free texts, which may say anything of a person."""
    specs = page.run.find_json("prepare", "specs.json") or {}
    columns = next(iter(specs.values()))["columns"] if specs else []
    return [one["name"] for one in columns if one.get("is_protected") or one.get("kind") == "text"]


@st.cache_data(max_entries=64, show_spinner=False)
def heat_of(_scorer: Any, _samples: Samples, sample_id: str, digest: str) -> np.ndarray:
    """(S, S) heat map of the one row; kept by the row's id and the model's digest."""
    return _scorer.heat_maps(_samples)[0]


def overlaid(pixels: np.ndarray, heat: np.ndarray, level: float, opacity: float = 0.55) -> np.ndarray:
    """The picture under its heat map with a line at the level."""
    from core.explain.heat_maps import overlay

    return overlay(pixels, heat, level, opacity=opacity)


def _show_picture(page: Page, scorer: Any, samples: Samples) -> None:
    pixels = _pixels(samples)
    left, right = st.columns(2)
    left.image(pixels, caption=page.text("cases.as_it_came"), width="stretch")
    with st.spinner(""):
        heat = heat_of(scorer, samples, str(samples.sample_ids[0]), model_digest(page))
    told = page.text("cases.heat", level=f"{scorer.level:.2f}", area=f"{float((heat >= scorer.level).mean()):.1%}")
    right.image(overlaid(pixels, heat, scorer.level), caption=told, width="stretch")


def _show_row(page: Page, scorer: Any, samples: Samples) -> None:
    left, right = st.columns(2)
    show_rows(page, values_table(page, samples), into=left)
    values = scorer.model.contributions(samples).iloc[0]
    table = values.rename("contribution").rename_axis("column").reset_index()
    table = table.reindex(table["contribution"].abs().sort_values(ascending=False).index).head(12)
    right.caption(page.text("cases.contribution"))
    right.altair_chart(contribution_bars(table), width="stretch")


def _pixels(samples: Samples) -> np.ndarray:
    """(S, S) or (S, S, 3) uint8 of the first row."""
    pixels = np.asarray(images_of(samples)[0].pixels)
    return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels


def _shown(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "–"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= MAX_VALUE_CHARACTERS else text[: MAX_VALUE_CHARACTERS - 1] + "…"
