import numpy as np
import pytest
from forecasting_data import HORIZONS, made_series

from core.errors import BadInputError
from core.forecasting.diebold_mariano import diebold_mariano
from core.forecasting.forecast_ledger import ALL_HORIZONS, build_forecast_ledger, row_losses
from core.forecasting.ledger_plot import plot_forecast_ledger, plot_transfer
from core.forecasting.params import SeriesCompareParams
from core.forecasting.release_gates import rival_gate, series_gates, transfer_gate
from core.forecasting.scoring import regimes
from core.forecasting.targets import future_means
from core.forecasting.walking import ForecastRun, Walk
from core.forecasting.words import in_days, transfer_claims

pytest.importorskip("arch", reason="the extra `market` is not installed")
SERIES = made_series(900, name="target")
WALK = Walk(SERIES, (), HORIZONS, SERIES.dates[500], 500)
PARAMS = SeriesCompareParams(
    baseline="ewma", methods=("ewma", "har", "har_pooled"), budgets=(250, "all"), num_bootstrap=200
)
TRUTH = future_means(SERIES.day_variance, HORIZONS)[WALK.origins]


def run_of(method, noise, budget="all", seed=0):
    """A forecast as far from what came as `noise` says."""
    random = np.random.default_rng(seed)
    level = np.where(np.isfinite(TRUTH), TRUTH, np.nanmean(TRUTH, axis=0))
    forecast = level * np.exp(noise * random.standard_normal(TRUTH.shape))
    return ForecastRun(method, budget, forecast, np.empty(0, int), np.empty((0, 3)), 1.0, {"fits": 1})


def ledger_of(*runs):
    return build_forecast_ledger(WALK, runs, PARAMS)


def entry_of(ledger, method, horizon, budget="all"):
    found = [e for e in ledger["entries"] if (e["method"], e["horizon"], e["budget"]) == (method, horizon, budget)]
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module")
def ledger():
    return ledger_of(run_of("ewma", 0.5), run_of("har", 0.9, seed=1), run_of("har_pooled", 0.2, seed=2))


@pytest.mark.parametrize("horizon", [*HORIZONS, ALL_HORIZONS])
def test_entry_holds_the_mean_loss_and_the_test_against_the_baseline(ledger, horizon):
    runs = {"ewma": run_of("ewma", 0.5), "har": run_of("har", 0.9, seed=1)}
    place = [*HORIZONS, ALL_HORIZONS].index(horizon)
    losses = {name: row_losses(WALK, run.forecast, SERIES.day_variance)[place] for name, run in runs.items()}
    expected = diebold_mariano(losses["ewma"], losses["har"], horizon=22 if horizon == ALL_HORIZONS else horizon)
    entry = entry_of(ledger, "har", horizon)
    assert entry["mean"] == pytest.approx(losses["har"].mean())
    assert entry["low"] < entry["mean"] < entry["high"]
    assert entry["difference"] == pytest.approx(losses["ewma"].mean() - losses["har"].mean())
    assert entry["p_value"] == pytest.approx(expected.p_value) and entry["p_adjusted"] >= entry["p_value"]
    assert entry["standing"] == "worse" and entry["verdict"] == "no transfer" and not entry["is_in_set"]


def test_row_losses_equal_plain_loop():
    run = run_of("ewma", 0.5)
    *by_horizon, mean = row_losses(WALK, run.forecast, SERIES.day_variance)
    for column, days in enumerate(HORIZONS):
        expected = []
        for place, row in enumerate(WALK.origins):
            if row + days < len(SERIES):
                truth = SERIES.day_variance[row + 1 : row + 1 + days].mean()
                expected.append(np.log(run.forecast[place, column]) + truth / run.forecast[place, column])
        assert by_horizon[column] == pytest.approx(expected)
    assert mean == pytest.approx(np.mean([part[: len(mean)] for part in by_horizon], axis=0))


def test_method_that_transfers_is_judged_against_its_twin(ledger):
    entry = entry_of(ledger, "har_pooled", 1)
    assert entry["from_scratch"] == "har" and entry["verdict"] == "gain" and entry["transfer_difference_low"] > 0
    other = ledger_of(run_of("ewma", 0.5), run_of("har", 0.2, seed=1), run_of("har_pooled", 0.9, seed=2))
    assert entry_of(other, "har_pooled", 1)["verdict"] == "negative transfer"
    alone = ledger_of(run_of("ewma", 0.5), run_of("har_pooled", 0.9, seed=2))
    assert entry_of(alone, "har_pooled", 1)["verdict"] == "no baseline"


def test_equal_methods_are_no_different(ledger):
    same = ledger_of(run_of("ewma", 0.5), run_of("har", 0.5, seed=3), run_of("har_pooled", 0.5, seed=4))
    assert {entry_of(same, m, 1)["standing"] for m in ("har", "har_pooled")} == {"no difference"}
    assert entry_of(same, "har_pooled", 1)["verdict"] == "no difference"
    assert all(entry_of(same, m, 1)["is_in_set"] for m in ("ewma", "har", "har_pooled"))


def test_ledger_without_its_baseline_or_with_a_run_twice_is_refused():
    with pytest.raises(BadInputError, match="no run of the baseline 'ewma' with 250 days"):
        ledger_of(run_of("ewma", 0.5), run_of("har", 0.5, budget=250))
    with pytest.raises(BadInputError, match="twice"):
        ledger_of(run_of("ewma", 0.5), run_of("ewma", 0.5))


def test_plots_show_every_method(ledger):
    names = [text.get_text() for text in plot_forecast_ledger(ledger).legends[0].get_texts()]
    assert set(names) == {"ewma (baseline)", "har", "har_pooled"}
    transfer = plot_transfer(ledger)
    assert [text.get_text() for text in transfer.legends[0].get_texts()] == ["har_pooled"]
    assert plot_transfer(ledger_of(run_of("ewma", 0.5), run_of("har", 0.9))) is None


def test_transfer_gate_refuses_negative_transfer_and_holds_without_proof(ledger):
    assert transfer_gate(ledger, "har_pooled", "all").is_passed
    bad = ledger_of(run_of("ewma", 0.5), run_of("har", 0.2, seed=1), run_of("har_pooled", 0.9, seed=2))
    gate = transfer_gate(bad, "har_pooled", "all")
    assert not gate.is_passed and gate.consequence == "refuse"
    missing = transfer_gate(ledger, "har_shrunk", "all")
    assert not missing.is_passed and missing.consequence == "hold"
    assert transfer_gate(ledger, "har", "all").is_passed


def metrics_of(gain=(0.01, 0.03), kupiec=0.5, zone="green"):
    tail = {"level": 0.01, "rows": 400, "exceeded": 4, "expected": 4.0, "kupiec_p": kupiec}
    tail["basel"] = {"zone": zone, "exceeded_of_last_250": 3}
    told = {
        "gain_over_rival": {"difference": sum(gain) / 2, "low": gain[0], "high": gain[1]},
        "tails_of_method": [tail],
    }
    return {"method": "har_pooled", "rival": "ewma", "history": "all", "horizons": {"1": told}}


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({}, set()),
        ({"gain": (-0.05, -0.01)}, {"no worse than ewma"}),
        ({"gain": (-0.05, 0.01)}, set()),
        ({"kupiec": 0.004}, {"coverage 1%, 1 day"}),
        ({"zone": "yellow"}, {"Basel traffic light"}),
    ],
)
def test_gates_fail_for_their_own_reason(ledger, changes, failed):
    gates = series_gates(metrics_of(**changes), ledger, is_export_equal=True)
    assert {gate.name for gate in gates if not gate.is_passed} == failed
    assert not rival_gate(metrics_of(gain=(-0.05, -0.01))).is_passed


def test_export_that_differs_is_refused(ledger):
    gate = series_gates(metrics_of(), ledger, is_export_equal=False)[-1]
    assert not gate.is_passed and gate.consequence == "refuse"


def test_regimes_compare_the_past_month_with_the_months_before_the_test():
    found = regimes(WALK, 0.9)
    months = np.array([SERIES.day_variance[row - 21 : row + 1].mean() for row in range(21, 900)])
    limit = np.quantile(months[: WALK.first_origin + 1 - 21], 0.9)
    expected = [months[row - 21] > limit for row in WALK.origins]
    assert (found == "crisis").tolist() == expected


def test_claims_are_the_verdicts_and_no_more(ledger):
    assert transfer_claims(ledger) == ["har_pooled against har: a gain with all days."]
    runs = [run_of(m, noise, budget, seed) for budget, worse in ((250, 0.9), ("all", 0.2)) for m, noise, seed in
            (("ewma", 0.5, 0), ("har", worse, 1), ("har_pooled", 0.5, 2))]  # fmt: skip
    assert transfer_claims(ledger_of(*runs)) == [
        "har_pooled against har: a gain with 250 days; negative transfer with all days."
    ]
    assert (in_days(1), in_days("22")) == ("1 day", "22 days")
