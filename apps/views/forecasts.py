"""What the next days may bring, and how past forecasts held: outlook, bands with exceedances, volatility, backtests."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from apps.charts import BAD, HEIGHT, QUIET, hints, legend
from apps.page import Page
from apps.page_head import show_head
from apps.tables import show_rows
from core.data.spreadsheet import harmless_csv
from core.evaluation.figure_style import COLOURS

TRADING_DAYS = 252
PERIODS = {"one_year": 250, "three_years": 750, "everything": None}
CRISIS = "#F0D9B5"


def show(page: Page) -> None:
    """The newest outlook first, then how far the forecasts can be believed."""
    metrics = page.run.read_json("evaluate", "metrics.json")
    forecasts = page.run.read_table("evaluate", "forecasts.parquet")
    data = page.run.read_json("prepare", "data_report.json")
    show_head(page, target=data["target_domain"], method=metrics["method"])
    _show_outlook(page)
    horizons = [int(days) for days in metrics["horizons"]]
    left, right = st.columns(2)
    days = left.segmented_control(page.text("days_ahead"), horizons, default=horizons[0], key="forecast_days")
    period = right.segmented_control(
        page.text("period"), list(PERIODS), default="three_years", key="forecast_period", format_func=page.text
    )
    days = days or horizons[0]
    num_days = PERIODS[period or "three_years"]
    shown = forecasts if num_days is None else forecasts.tail(num_days)
    levels = [tail["level"] for tail in metrics["horizons"][str(days)]["tails_of_method"]]
    st.subheader(page.text("bands", span=page.days(days)))
    st.altair_chart(_bands(page, shown, days, levels), width="stretch")
    st.caption(page.text("bands_note"))
    st.subheader(page.text("volatility", span=page.days(days)))
    st.altair_chart(_volatility(page, shown, days, metrics["rival"]), width="stretch")
    st.subheader(page.text("backtests"))
    show_rows(page, backtest_table(page, metrics))
    st.caption(page.text("backtests_note"))
    st.subheader(page.text("regimes"))
    show_rows(page, regime_table(page, metrics))
    written = harmless_csv(forecasts)
    st.download_button(page.text("common.download_csv"), written, "forecasts.csv", "text/csv")


def _show_outlook(page: Page) -> None:
    """Volatility and Value at Risk of the days ahead of the last day that the model has seen."""
    outlook = page.run.read_table("export", "outlook.csv")
    st.subheader(page.text("outlook", date=str(outlook["date"].iloc[0])[:10]))
    level = next(name for name in outlook.columns if name.startswith("value_at_risk_"))
    told = float(level.removeprefix("value_at_risk_"))
    for column, (_, row) in zip(st.columns(len(outlook)), outlook.iterrows(), strict=True):
        column.metric(
            page.text("next_days", span=page.days(int(row["horizon_days"]))),
            f"{row['yearly_volatility_percent']:.1f} %",
            page.text("at_risk", level=f"{told:.0%}", value=f"{row[level]:.2f}"),
            delta_color="off",
            delta_arrow="off",
            help=page.text("outlook_help"),
        )


def _bands(page: Page, table: pd.DataFrame, days: int, levels: list[float]) -> alt.LayerChart:
    """Returns, Value at Risk at each level, crises shaded, and what went beyond the lowest level."""
    known = table.dropna(subset=[f"return_{days}"])
    names = [page.text("level", level=f"{level:.0%}") for level in sorted(levels, reverse=True)]
    lines = pd.concat(
        [
            pd.DataFrame({"date": known["date"], "value": known[f"value_at_risk_{days}_{level:g}"], "line": name})
            for level, name in zip(sorted(levels, reverse=True), names, strict=True)
        ]
    )
    at_risk = f"value_at_risk_{days}_{min(levels):g}"
    beyond = known[known[f"return_{days}"] < known[at_risk]]
    beyond = beyond[["date", f"return_{days}", at_risk]].set_axis(["date", "value", "at_risk"], axis=1)
    time = alt.X("date:T", title=None)
    scale = alt.Scale(domain=names, range=[COLOURS[place] for place in range(len(names))])
    moved = known[["date", f"return_{days}"]].set_axis(["date", "value"], axis=1)
    layers = [
        *_crises(known),
        alt.Chart(moved)
        .mark_line(strokeWidth=0.7, color=QUIET)
        .encode(x=time, y=alt.Y("value:Q", title=page.text("percent"))),
        alt.Chart(lines)
        .mark_line(strokeWidth=1.6)
        .encode(x=time, y=alt.Y("value:Q"), color=alt.Color("line:N", scale=scale, legend=legend(None, is_line=True))),
        alt.Chart(beyond)
        .mark_point(shape="triangle-down", filled=True, size=60, color=BAD)
        .encode(x=time, y=alt.Y("value:Q"), tooltip=hints(date="", value=".2f", at_risk=".2f")),
    ]
    return alt.layer(*layers).properties(height=HEIGHT)


def _volatility(page: Page, table: pd.DataFrame, days: int, rival: str) -> alt.LayerChart:
    """Yearly volatility: what came, the rival's forecast, the model's."""
    known = table.dropna(subset=[f"realised_{days}"])
    names = {"realised": page.text("came"), "rival": rival, "forecast": page.text("forecast")}
    lines = pd.concat(
        [
            pd.DataFrame(
                {"date": known["date"], "value": np.sqrt(TRADING_DAYS * known[f"{side}_{days}"]), "line": name}
            )
            for side, name in names.items()
        ]
    )
    scale = alt.Scale(domain=list(names.values()), range=["#BBBBBB", COLOURS[1], COLOURS[0]])
    chart = (
        alt.Chart(lines)
        .mark_line(strokeWidth=1.3)
        .encode(
            x=alt.X("date:T", title=None),
            y=alt.Y("value:Q", title=page.text("percent_a_year")),
            color=alt.Color("line:N", scale=scale, legend=legend(None, is_line=True)),
        )
    )
    return alt.layer(*_crises(known), chart).properties(height=HEIGHT)


def _crises(table: pd.DataFrame) -> list[alt.Chart]:
    """A shade for each run of days that belong to a crisis."""
    is_crisis = (table["regime"] == "crisis").to_numpy()
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_crisis, [False]]).astype(int)))
    if not len(edges):
        return []
    dates = table["date"].to_numpy()
    spans = pd.DataFrame({"start": dates[edges[::2]], "end": dates[edges[1::2] - 1]})
    shade = alt.Chart(spans).mark_rect(color=CRISIS, opacity=0.45)
    return [shade.encode(x=alt.X("start:T", title=None), x2=alt.X2("end:T"))]


def backtest_table(page: Page, metrics: dict[str, Any]) -> pd.DataFrame:
    """A row a horizon and level."""
    rows = []
    for days, told in metrics["horizons"].items():
        for tail in told["tails_of_method"]:
            rows.append(
                {
                    "horizon_days": int(days),
                    "level": f"{tail['level']:.0%}",
                    "windows": tail["rows"],
                    "exceeded": tail["exceeded"],
                    "expected": round(tail["expected"], 1),
                    "coverage_p": tail["kupiec_p"],
                    "independence_p": tail["independence_p"],
                    "shortfall_p": tail["shortfall_p"],
                    "zone": page.word(tail["basel"]["zone"]) if "basel" in tail else None,
                }
            )
    return pd.DataFrame(rows)


def regime_table(page: Page, metrics: dict[str, Any]) -> pd.DataFrame:
    """A row a horizon and regime: losses of the model and its rival, and the gain."""
    rows = []
    for days, told in metrics["horizons"].items():
        for regime, part in told["by_regime"].items():
            rows.append(
                {
                    "horizon_days": int(days),
                    "regime": page.word(regime),
                    "days": part["rows"],
                    "qlike": part.get("qlike"),
                    "rival_qlike": part.get("rival_qlike"),
                    "difference": part.get("difference"),
                    "difference_low": part.get("low"),
                    "difference_high": part.get("high"),
                }
            )
    return pd.DataFrame(rows)
