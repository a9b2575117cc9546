"""Errors by slice and by size of the prediction: loops, planted effects, false alarms, small slices; the figures."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind

from core.errors import BadInputError
from core.evaluation.resampling import resample_counts
from core.regression.errors_by_prediction import errors_by_prediction
from core.regression.plots import plot_errors_by_prediction, plot_predicted_against_true
from core.regression.predicted_rows import PredictedRows
from core.regression.slice_errors import slice_errors


def lending(num_rows: int = 900, seed: int = 0, *, extra_error: float = 0.0, extra_bias: float = 0.0):
    """Rows with a band, and two attributes; group b's predictions may be wilder, or too high."""
    rng = np.random.default_rng(seed)
    attributes = pd.DataFrame(
        {
            "group": np.where(rng.random(num_rows) < 0.4, "b", "a"),
            "age": rng.integers(18, 80, num_rows).astype(float),
        }
    )
    is_b = (attributes["group"] == "b").to_numpy()
    truth = 5000 + 900 * rng.standard_normal(num_rows)
    value = truth + 200 * (1 + extra_error * is_b) * rng.standard_normal(num_rows) + extra_bias * is_b
    return PredictedRows.checked(truth, value, value - 330, value + 330, error_rate=0.1), attributes


def test_slice_errors_equal_loop():
    rows, attributes = lending(300)
    table = slice_errors(rows, attributes, num_bootstrap=100, confidence=0.9, seed=3)
    assert table.groupby("attribute")["rows"].sum().eq(len(rows)).all()
    counts = np.concatenate(list(resample_counts(len(rows), 100, seed=3)))
    for row in table[table["attribute"] == "group"].itertuples():
        here = (attributes["group"] == row.value).to_numpy()
        for name, of_row in (("mae", np.abs(rows.value - rows.truth)), ("mean_error", rows.value - rows.truth)):
            drawn = [np.repeat(np.arange(len(rows)), count.astype(int)) for count in counts]
            inside = np.array([of_row[places[here[places]]].mean() for places in drawn])
            assert getattr(row, name) == pytest.approx(of_row[here].mean())
            assert getattr(row, f"{name}_gap") == pytest.approx(of_row[here].mean() - of_row[~here].mean())
            ends = getattr(row, f"{name}_low"), getattr(row, f"{name}_high")
            assert ends == pytest.approx(tuple(np.quantile(inside, [0.05, 0.95])))
        inside_band = (rows.low[here] <= rows.truth[here]) & (rows.truth[here] <= rows.high[here])
        assert row.coverage == pytest.approx(inside_band.mean())
        assert (row.rows, row.mean_truth) == (here.sum(), pytest.approx(rows.truth[here].mean()))


def test_slice_p_values_agree_with_welch():
    """Two slices of one attribute: four tests, so that Holm multiplies the smallest by four."""
    rows, attributes = lending(300, seed=1, extra_bias=40)
    table = slice_errors(rows, attributes[["group"]], num_bootstrap=4000).set_index("value")
    is_b = (attributes["group"] == "b").to_numpy()
    wanted = ttest_ind(rows.error[is_b], rows.error[~is_b], equal_var=False).pvalue
    others = ttest_ind(np.abs(rows.error[is_b]), np.abs(rows.error[~is_b]), equal_var=False).pvalue
    assert wanted < others
    assert table.loc["b", "mean_error_p"] == pytest.approx(4 * wanted, rel=0.35)


def test_slices_without_any_effect_are_seldom_flagged():
    """Nominal at most 5 % of 80 tables; more than 9 would be seen by chance once in 100."""
    flags = [slice_errors(*lending(300, seed), num_bootstrap=150, seed=seed)["is_flagged"].any() for seed in range(80)]
    assert sum(flags) <= 9


@pytest.mark.parametrize(
    ("effect", "flagged"),
    [
        ({"extra_error": 1.0}, {"mae"}),
        ({"extra_bias": 100.0}, {"mean_error"}),
        ({"extra_bias": -100.0}, {"mean_error"}),
        ({"extra_error": 1.0, "extra_bias": 200.0}, {"mae", "mean_error"}),
    ],
)
def test_slices_with_a_planted_effect_are_flagged_for_it_only(effect, flagged):
    table = slice_errors(*lending(2000, **effect), num_bootstrap=200)
    alarms = table[table["is_flagged"]]
    assert set(alarms["attribute"]) == {"group"} and len(alarms) == 2
    assert all(flagged <= set(names.split(", ")) for names in alarms["flagged_gaps"])
    if flagged == {"mae"}:
        assert alarms["flagged_gaps"].eq("mae").all()
    of_b = alarms.set_index("value").loc["b"]
    gap = of_b["mean_error_gap"] if "extra_bias" in effect else of_b["mae_gap"]
    assert np.sign(gap) == np.sign(effect.get("extra_bias", 1.0))


def test_small_slices_and_missing_values_are_groups_of_their_own():
    rows, attributes = lending(300)
    attributes["rare"] = np.where(np.arange(300) < 12, "few", None)
    attributes.loc[100:199, "age"] = np.nan
    table = slice_errors(rows, attributes, num_bootstrap=100).set_index(["attribute", "value"])
    few = table.loc[("rare", "few")]
    assert few["rows"] == 12 and few["note"] == "fewer than 30 rows" and not few["is_flagged"]
    assert few[["mae", "mae_low", "mean_error", "coverage", "mae_gap", "mae_p"]].isna().all()
    assert np.isfinite(few["mean_truth"])
    assert table.loc[("age", "missing"), "rows"] == 100
    ages = table.loc["age"].index.tolist()
    assert len(ages) == 4 and ages[-1] == "missing" and ages[0].startswith("up to")


def test_slice_of_all_rows_or_nearly_all_is_measured_but_not_tested():
    rows, attributes = lending(300)
    attributes = pd.DataFrame({"one": "x", "most": np.where(np.arange(300) < 5, "few", "many")})
    table = slice_errors(rows, attributes, num_bootstrap=100, min_rows=3).set_index("value")
    for value in ("x", "many"):
        assert np.isfinite(table.loc[value, ["mae", "mae_low", "mae_high"]].to_numpy(dtype=float)).all()
        assert np.isnan(table.loc[value, "mae_p"]) and "other rows to compare with" in table.loc[value, "note"]
    assert np.isnan(table.loc["x", "mae_gap"])
    assert np.isfinite(table.loc["few", "mae"]) and np.isnan(table.loc["few", "mae_low"])
    assert table.loc["few", "note"] == "fewer than 10 rows"


def test_one_borrower_with_many_rows_is_no_proof_against_its_slice():
    """60 rows of one borrower share one error: by rows a sure alarm, by groups a single case."""
    rng = np.random.default_rng(4)
    groups = np.r_[np.zeros(60), np.arange(1, 301)].astype(int)
    error = 100 * rng.standard_normal(301)
    error[0] = 250
    truth = np.full(360, 1000.0)
    rows = PredictedRows.checked(truth, truth + error[groups])
    slices = pd.DataFrame({"region": np.where(groups == 0, "north", "south")})
    by_rows = slice_errors(rows, slices, num_bootstrap=200).set_index("value")
    by_groups = slice_errors(rows, slices, num_bootstrap=200, groups=groups).set_index("value")
    assert by_rows.loc["north", "is_flagged"]
    assert not by_groups["is_flagged"].any() and by_groups.loc["north", "note"] == "fewer than 10 groups"
    assert by_groups.loc["north", "mae"] == pytest.approx(250) and np.isnan(by_groups.loc["north", "mae_low"])


def test_slices_of_groups_have_wider_intervals():
    rows, attributes = lending(300)
    copied = np.repeat(np.arange(300), 5)
    table = [
        slice_errors(rows.part(copied), attributes.iloc[copied], num_bootstrap=300, groups=groups)
        for groups in (None, copied)
    ]
    naive, grouped = ((part["mae_high"] - part["mae_low"]).to_numpy() for part in table)
    assert (grouped > 1.6 * naive).all()


def test_slices_without_a_band_have_no_coverage_and_perfect_predictions_no_alarm():
    rows, attributes = lending(200)
    table = slice_errors(PredictedRows.checked(rows.truth, rows.truth), attributes, num_bootstrap=50)
    assert table["coverage"].isna().all() and (table["mae"] == 0).all() and not table["is_flagged"].any()


def test_slices_that_differ_by_rounding_only_are_not_tested():
    _, attributes = lending(301)
    table = slice_errors(PredictedRows.checked(np.zeros(301), np.full(301, 0.1)), attributes, num_bootstrap=50)
    assert table[["mae_p", "mean_error_p"]].isna().all(axis=None) and table["mae"].to_numpy() == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["attributes", "groups"])
def test_slices_of_another_length_are_refused(name):
    rows, attributes = lending(100)
    options = {"attributes": attributes, "groups": np.arange(100)}
    options[name] = options[name][:90]
    with pytest.raises(BadInputError, match=f"{name} has 90 rows, expected 100"):
        slice_errors(rows, options.pop("attributes"), **options)


def test_errors_by_prediction_equal_loop():
    rows, _ = lending(503)
    table = errors_by_prediction(rows, num_bootstrap=100, seed=2)
    assert table["rows"].sum() == 503 and len(table) == 10 and table["rows"].between(50, 51).all()
    ranked = np.argsort(rows.value)
    start = 0
    for row in table.itertuples():
        here = np.sort(ranked[start : start + row.rows])
        start += row.rows
        error = rows.value[here] - rows.truth[here]
        assert (row.mean_value, row.mean_error) == pytest.approx((rows.value[here].mean(), error.mean()))
        assert row.error_quantile_90 == pytest.approx(np.quantile(error, 0.9))
        drawn = np.concatenate(list(resample_counts(len(here), 100, seed=2)))
        means = [np.repeat(error, count.astype(int)).mean() for count in drawn]
        ends = np.quantile(means, [0.025, 0.975])
        assert (row.mean_error_low, row.mean_error_high) == pytest.approx(tuple(ends))


def test_errors_by_prediction_of_groups_have_wider_intervals():
    rows, copied = lending(200)[0], np.repeat(np.arange(200), 9)
    naive, grouped = (errors_by_prediction(rows.part(copied), num_bootstrap=300, groups=g) for g in (None, copied))
    widths = [(part["mean_error_high"] - part["mean_error_low"]).mean() for part in (naive, grouped)]
    assert widths[1] > 2.5 * widths[0]


def test_errors_by_prediction_show_predictions_that_are_drawn_to_the_mean():
    rows, _ = lending(1000)
    shrunk = PredictedRows.checked(rows.truth, 5000 + 0.5 * (rows.truth - 5000))
    table = errors_by_prediction(shrunk, num_bootstrap=100)
    assert table["mean_error_low"].iloc[0] > 0 > table["mean_error_high"].iloc[-1]


@pytest.mark.parametrize(("num_rows", "num_bins"), [(9, 1), (35, 3), (200, 10)])
def test_few_rows_have_few_bins(num_rows, num_bins):
    rows, _ = lending(num_rows)
    assert len(errors_by_prediction(rows, num_bootstrap=20)) == num_bins


def test_errors_by_prediction_with_other_groups_are_refused():
    with pytest.raises(BadInputError, match="groups has 3 rows"):
        errors_by_prediction(lending(50)[0], groups=np.arange(3))


def png_size(figure) -> int:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=50)
    return len(buffer.getvalue())


def test_figure_of_predictions_has_every_row_once_and_names_its_band():
    rows, _ = lending(400)
    figure = plot_predicted_against_true(rows, quantity="amount in EUR")
    (axes,) = figure.axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert set(names) == {"400 rows", "outside the band", "90 % band", "predicted = true"}
    points = {line.get_label(): line.get_xydata() for line in axes.get_lines()}
    is_outside = (rows.truth < rows.low) | (rows.truth > rows.high)
    assert len(points["outside the band"]) == is_outside.sum() > 0
    assert len(points["400 rows"]) == (~is_outside).sum()
    assert sorted(points["outside the band"][:, 0]) == sorted(rows.value[is_outside])
    assert axes.get_xlabel() == "Predicted amount in EUR" and axes.get_xlim() == axes.get_ylim()
    assert png_size(figure) > 3000


def test_figures_are_drawn_for_many_rows_without_a_band_and_for_one_value():
    many = PredictedRows.checked(np.arange(9000.0), np.arange(9000.0) + 5)
    figure = plot_predicted_against_true(many)
    assert len(figure.axes[0].get_lines()[0].get_xdata()) == 3000
    constant = PredictedRows.checked([5.0] * 20, [5.0] * 20, [4.0] * 20, [6.0] * 20)
    figures = [figure, plot_predicted_against_true(constant)]
    figures += [plot_errors_by_prediction(errors_by_prediction(rows, num_bootstrap=20)) for rows in (many, constant)]
    assert all(png_size(figure) > 3000 for figure in figures)


def test_figure_of_errors_shows_the_table():
    table = errors_by_prediction(lending(400)[0], num_bootstrap=50)
    (axes,) = plot_errors_by_prediction(table).axes
    dots = axes.containers[-1].lines[0].get_ydata()
    np.testing.assert_allclose(np.asarray(dots, dtype=float), table["mean_error"])
    assert len(axes.get_xticklabels()) == len(table)
