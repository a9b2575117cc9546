import numpy as np
import pytest
import torch
from forecasting_data import HORIZONS, made_series

import core.forecasting.methods  # noqa: F401 - registers all
from core.forecasting.forecaster import FORECASTERS, ForecastTask
from core.forecasting.losses import qlike
from core.forecasting.network_forecaster import NetworkForecaster, NetworkOptions, new_network
from core.forecasting.network_training import hold_out, log_variances, tensors_of, train_network
from core.forecasting.sequence_network import SequenceBackbone, qlike_of_logs
from core.forecasting.series import Series
from core.forecasting.windows import STATICS, concatenate, windows_of

FAST = {"epochs": 3, "source_epochs": 2, "num_members": 1, "width": 4}


def test_features_of_a_day_do_not_see_later_days():
    torch.manual_seed(0)
    backbone = SequenceBackbone(4).eval()
    days = torch.randn(2, 3, 64)
    out = backbone.entry(days)
    moved = days.clone()
    moved[:, :, 40:] += 3.0
    other = backbone.entry(moved)
    for block in backbone.blocks:
        out, other = block(out), block(other)
    assert torch.equal(out[:, :, :40], other[:, :, :40]) and not torch.allclose(out[:, :, 40:], other[:, :, 40:])


def test_last_day_sees_the_whole_window_but_its_first():
    torch.manual_seed(0)
    backbone = SequenceBackbone(4).eval()
    days = torch.randn(1, 3, 64, requires_grad=True)
    backbone(days, torch.zeros(1, len(STATICS))).sum().backward()
    reach = days.grad.abs().sum(dim=1)[0]
    assert (reach[1:] > 0).all() and reach[0] == 0


def test_untrained_network_forecasts_as_riskmetrics():
    rows = windows_of(made_series(200), HORIZONS)
    assert log_variances(new_network(3, 4, seed=0), rows) == pytest.approx(np.repeat(rows.base[:, None], 3, axis=1))


def test_qlike_of_logs_equals_plain_loop_without_what_is_not_known():
    logs = torch.tensor([[0.1, -0.3], [0.5, 0.2]])
    targets = torch.tensor([[1.2, np.nan], [0.0, 3.0]])
    known = [(0.1, 1.2), (0.5, 0.0), (0.2, 3.0)]
    expected = np.mean([qlike(np.exp([log]), np.array([y]))[0] for log, y in known])
    assert float(qlike_of_logs(logs, targets)) == pytest.approx(expected)
    assert float(qlike_of_logs(logs, torch.full((2, 2), np.nan))) == 0.0


def test_held_out_days_are_in_no_target_that_teaches():
    own, other = windows_of(made_series(200), HORIZONS), windows_of(made_series(150, seed=1), HORIZONS)
    taught, held = hold_out(concatenate([other, own]), len(own), 0.2, reach=22)
    assert len(held) == round(len(own) * 0.2) and np.array_equal(held.rows, own.rows[-len(held) :])
    own_taught = taught.rows[len(other) :]
    assert np.array_equal(taught.rows[: len(other)], other.rows)  # another market's days are all there
    assert own_taught.max() + 22 <= held.rows[0] and own_taught.max() + 22 >= held.rows[0] - 1


@pytest.mark.parametrize(
    ("name", "moves_backbone"),
    [("network_source_only", False), ("network_probe", False), ("network_lp_ft", True), ("network_fine_tuned", True)],
)
def test_strategy_moves_the_weights_it_says(name, moves_backbone, monkeypatch, tmp_path):
    monkeypatch.setenv("CROSSDOMAIN_CACHE", str(tmp_path))
    task = ForecastTask(made_series(800, seed=3), (made_series(300, seed=4, name="source"),), HORIZONS, seed=0)
    options = {**FAST, "epochs": 8}  # enough that the best epoch is not the head's own
    source = FORECASTERS["network_source_only"](options).fit(task).networks_[0].state_dict()
    own = FORECASTERS[name](options).fit(task).networks_[0].state_dict()
    moved = {key for key in own if not torch.equal(own[key], source[key])}
    assert any(key.startswith("head") for key in moved) == (name != "network_source_only")
    assert any(key.startswith("backbone") for key in moved) == moves_backbone


def test_source_networks_are_trained_once_for_all_who_ask(monkeypatch, tmp_path):
    monkeypatch.setenv("CROSSDOMAIN_CACHE", str(tmp_path))
    trained = []
    real = NetworkForecaster._train

    def counted(self, *arguments, is_source, **how):
        trained.append(is_source)
        return real(self, *arguments, is_source=is_source, **how)

    monkeypatch.setattr(NetworkForecaster, "_train", counted)
    task = ForecastTask(made_series(300), (made_series(300, seed=4, name="s"),), HORIZONS)
    for name in ("network_source_only", "network_probe", "network_lp_ft"):
        FORECASTERS[name](FAST).fit(task)
    assert trained.count(True) == 1
    other = (made_series(300, seed=5, name="s"),)  # of the same name and length, with other days
    FORECASTERS["network_probe"](FAST).fit(ForecastTask(task.history, other, HORIZONS))
    FORECASTERS["network_probe"]({**FAST, "source_epochs": 3}).fit(task)
    assert trained.count(True) == 3


def test_training_on_many_days_beats_the_untrained_network():
    rows = windows_of(made_series(3000, seed=1), HORIZONS)
    fresh = new_network(3, 8, seed=0)
    before = log_variances(fresh, rows)
    options = NetworkOptions(width=8, num_members=1, source_epochs=6)
    trained = train_network(fresh, rows, None, "full", options, reach=22, seed=0, is_source=True)
    later = windows_of(made_series(3000, seed=2), HORIZONS)
    known = np.isfinite(later.targets).all(axis=1)

    def loss(logs):
        return np.mean(logs[known] + later.targets[known] * np.exp(-logs[known]))

    untrained = loss(np.repeat(later.base[:, None], 3, axis=1))
    assert loss(log_variances(trained, later)) < untrained - 0.005
    assert before.shape == (len(rows), 3)


def test_onnx_graph_forecasts_the_same(tmp_path):
    pytest.importorskip("onnxruntime")
    from core.forecasting.network_onnx import run_network, write_network

    series = made_series(300)
    forecaster = FORECASTERS["network"]({**FAST, "num_members": 2}).fit(ForecastTask(series, (), HORIZONS))
    rows = windows_of(series, HORIZONS, 250)
    write_network(forecaster, rows, tmp_path / "network.onnx")
    found, milliseconds = run_network(tmp_path / "network.onnx", rows)
    assert found == pytest.approx(forecaster.foresee(series, 250), rel=1e-4) and milliseconds > 0
    assert len(tensors_of(rows)) == 4


def test_best_source_is_the_market_that_moves_as_the_target_does():
    history = made_series(500, seed=10, name="target")
    alike = made_series(1500, seed=11, name="alike")
    returns = np.random.default_rng(0).standard_normal(1500)
    restless = Series("restless", alike.dates, returns, np.where(np.arange(1500) % 2, 0.05, 2.0), has_range=False)
    options = {**FAST, "source_epochs": 8}
    best = FORECASTERS["network_source_only"](options).fit(ForecastTask(history, (restless, alike), HORIZONS))
    assert best.chosen_sources_ == ("alike",)
    everyone = FORECASTERS["network_source_only"]({**options, "source_choice": "all"})
    assert everyone.fit(ForecastTask(history, (restless, alike), HORIZONS)).chosen_sources_ == ("restless", "alike")
