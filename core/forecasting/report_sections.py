"""Sections of a forecast's report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from core.forecasting.forecast_ledger import ALL_HORIZONS
from core.forecasting.ledger_plot import plot_forecast_ledger, plot_transfer
from core.forecasting.report_figures import plot_bands, plot_gain_over_time, plot_volatility
from core.forecasting.words import in_days, transfer_claims
from core.reporting.sections import Section


def forecast_section(metrics: Mapping[str, Any], forecasts: pd.DataFrame) -> Section:
    """Losses by horizon, and the pictures."""
    horizons = [int(days) for days in metrics["horizons"]]
    rows = []
    for days, told in metrics["horizons"].items():
        gain = told["gain_over_rival"]
        rows.append(
            {
                "days ahead": int(days),
                "QLIKE": told["qlike"]["value"],
                "interval": interval(told["qlike"]),
                f"QLIKE of {metrics['rival']}": told["rival_qlike"],
                "gain": f"{gain['difference']:+.4f}",
                "gain's interval": interval(gain, sign=True),
                "p (Diebold-Mariano)": gain["p_value"],
            }
        )
    text = (
        f"{metrics['rows']:,} days from {metrics['first_test_day']} to {metrics['last_test_day']}, each forecast at the"
        f" end of the day before from what was known then; fitted again every {metrics['refit_days']} days."
        " QLIKE: log f + r / f, lower is better. Shaded: crises, days after a month that was wilder than nine tenths of"
        " the months before the test period."
    )
    figures = (
        ("The last three years", plot_bands(forecasts, _levels(metrics), horizon=horizons[0])),
        (f"{in_days(horizons[-1])} ahead", plot_volatility(forecasts, metrics["rival"], horizon=horizons[-1])),
        ("Where the gain comes from", plot_gain_over_time(forecasts, metrics["rival"], horizons=horizons)),
    )
    return Section("Forecasts", text, (("Losses", pd.DataFrame(rows)),), figures)


def tails_section(metrics: Mapping[str, Any]) -> Section:
    """Coverage of Value at Risk and depth of the shortfall, of the method and its rival."""
    rows = []
    for role, name in (("method", metrics["method"]), ("rival", metrics["rival"])):
        for days, told in metrics["horizons"].items():
            for tail in told[f"tails_of_{role}"]:
                rows.append(
                    {
                        "method": name,
                        "days ahead": int(days),
                        "level": f"{tail['level']:.0%}",
                        "windows": tail["rows"],
                        "exceeded": tail["exceeded"],
                        "expected": tail["expected"],
                        "rate": f"{tail['rate']:.2%} [{tail['rate_low']:.2%}, {tail['rate_high']:.2%}]",
                        "coverage p (Kupiec)": tail["kupiec_p"],
                        "independence p (Christoffersen)": tail["independence_p"],
                        "shortfall p (Acerbi-Szekely)": tail["shortfall_p"],
                        "in crises": tail["by_regime"]["crisis"]["exceeded"],
                    }
                )
    text = (
        "Windows of several days do not overlap here, so that each exceedance counts once. A small p speaks against the"
        " forecast: too many or too few exceedances, exceedances that come together, or deeper ones than told."
    )
    return Section("Value at Risk and Expected Shortfall", text, (("Backtests", pd.DataFrame(rows)),))


def regime_section(metrics: Mapping[str, Any]) -> Section:
    """Losses in calm days and in crises."""
    rows = []
    for days, told in metrics["horizons"].items():
        for regime, part in told["by_regime"].items():
            row = {"days ahead": int(days), "regime": regime, "days": part["rows"], "QLIKE": part.get("qlike")}
            row |= {f"QLIKE of {metrics['rival']}": part.get("rival_qlike")}
            row["gain"] = f"{part['difference']:+.4f} {interval(part, sign=True)}" if "difference" in part else None
            rows.append(row)
    text = "Too few days of a regime are shown without a test."
    return Section("Calm and crisis", text, (("By regime", pd.DataFrame(rows)),))


def ledger_section(ledger: Mapping[str, Any]) -> Section:
    """Methods by history: against the baseline, and of those that transfer against the same from scratch."""
    rows = []
    for entry in ledger["entries"]:
        has_twin = entry.get("transfer_difference") is not None
        rows.append(
            {
                "history": str(entry["budget"]),
                "days ahead": "mean" if entry["horizon"] == ALL_HORIZONS else str(entry["horizon"]),
                "method": entry["method"],
                "QLIKE": f"{entry['mean']:.4f} {interval(entry)}",
                f"against {ledger['baseline']}": _difference(entry, ""),
                "standing": entry["standing"],
                "p": entry["p_value"],
                "transfer against scratch": _difference(entry, "transfer_") if has_twin else None,
                "verdict": entry["verdict"],
                "p of transfer": entry.get("transfer_p_value"),
                "in the best set": "yes" if entry["is_in_set"] else "no",
            }
        )
    mean = [row for row in rows if row["days ahead"] == "mean"]
    single = [row for row in rows if row["days ahead"] != "mean"]
    tables = (
        ("Mean of all horizons", pd.DataFrame(mean).drop(columns="days ahead")),
        ("Each horizon", pd.DataFrame(single)),
    )
    text = (
        "Every method with the same days of history and the same test days; sources"
        f" ({', '.join(ledger['source_domains'])}) end before {ledger['first_test_day']}. Intervals of differences and"
        " p: Diebold-Mariano. In the best set: the"
        f" model confidence set holds it ({1 - ledger['set_size']:.0%})."
    )
    figures = (("Loss and gain by history", plot_forecast_ledger(ledger)),)
    return Section("Transfer ledger", text, tables, figures)


def transfer_sections(ledger: Mapping[str, Any]) -> list[Section]:
    """What the ledger supports of each method that transfers, in a sentence, and the picture; none where none does."""
    figure = plot_transfer(ledger)
    if figure is None:
        return []
    text = "\n\n".join(transfer_claims(ledger))
    return [Section("What the other markets gave", text, (), (("Gain over the same from scratch", figure),))]


def data_section(report: Mapping[str, Any]) -> Section:
    """The markets and what could not be read of them."""
    markets = pd.DataFrame([{"market": name, **told} for name, told in report["markets"].items()])
    tables = [("Markets (figures: before the test period)", markets)]
    if report["problems"]:
        tables.append(("Set aside or left out", pd.DataFrame(report["problems"])))
    return Section("Data", "", tuple(tables))


def interval(told: Mapping[str, Any], *, sign: bool = False) -> str:
    """`[1.204, 1.310]`."""
    form = "+.4f" if sign else ".4f"
    return f"[{told['low']:{form}}, {told['high']:{form}}]"


def _difference(entry: Mapping[str, Any], prefix: str) -> str | None:
    if entry[f"{prefix}difference"] is None:
        return None
    low, high = entry[f"{prefix}difference_low"], entry[f"{prefix}difference_high"]
    return f"{entry[f'{prefix}difference']:+.4f} [{low:+.4f}, {high:+.4f}]"


def _levels(metrics: Mapping[str, Any]) -> list[float]:
    return [tail["level"] for tail in next(iter(metrics["horizons"].values()))["tails_of_method"]]
