import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from core.errors import BadParamsError
from core.learners import trackers as trackers_module
from core.learners.checkpoints import load_checkpoint
from core.learners.loop_options import LoopOptions
from core.learners.optimization import learning_rate_scale, make_optimizer
from core.learners.torch_loop import LoopTask, run_loop, soft_cross_entropy
from core.params import parse_section
from core.strategies import STRATEGIES
from core.strategies.base import ParameterGroup


class Network(nn.Module):
    """Two layers with dropout and a norm; `backbone` and `head` as strategies want them."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(3, 8), nn.LayerNorm(8), nn.Tanh(), nn.Dropout(0.3))
        self.backbone.stages = lambda: list(self.backbone)[:2]
        self.head = nn.Linear(8, 2)

    def forward(self, inputs):
        return self.head(self.backbone(inputs))


def make_network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Network()


def make_task(*, num_rows=24, validate=None, metric="", is_higher_better=False):
    generator = np.random.default_rng(0)
    inputs = torch.tensor(generator.normal(size=(num_rows, 3)), dtype=torch.float32)
    targets = nn.functional.one_hot((inputs[:, 0] > 0).long(), 2).float()
    items = list(zip(inputs, targets, strict=True))

    def compute_loss(model, batch):
        rows, wanted = batch
        return soft_cross_entropy(model(rows), wanted, torch.ones(len(rows)))

    def collate(rows):
        return torch.stack([row[0] for row in rows]), torch.stack([row[1] for row in rows])

    return LoopTask(items, collate, compute_loss, validate, metric, is_higher_better)


def scripted(values):
    """A validation that gives the values in turn."""
    remaining = iter(values)
    return lambda model: {"score": next(remaining)}


def run(options, *, task=None, network=None, strategy="full", **keywords):
    network = network or make_network()
    result = run_loop(network, task or make_task(), STRATEGIES[strategy](), options, say=lambda line: None, **keywords)
    return network, result


def weights_of(network):
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


class KilledError(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "adafactor"])
@pytest.mark.parametrize("strategy", ["full", "lp_ft"])
def test_loop_killed_and_resumed_ends_at_the_same_weights(tmp_path, optimizer, strategy):
    options = LoopOptions(epochs=4, batch_size=8, learning_rate=0.01, optimizer=optimizer, schedule="cosine")
    uninterrupted, whole = run(options, strategy=strategy)

    def kill_after_second(row):
        if row["epoch"] == 1:
            raise KilledError

    with pytest.raises(KilledError):
        run(options, strategy=strategy, checkpoint_folder=tmp_path / "run", on_epoch=kill_after_second)
    seen = []
    resumed, result = run(
        options, strategy=strategy, checkpoint_folder=tmp_path / "run", on_epoch=lambda row: seen.append(row["epoch"])
    )
    assert seen == [2, 3]
    assert torch.equal(weights_of(resumed), weights_of(uninterrupted))
    assert [row["loss"] for row in result.history] == [row["loss"] for row in whole.history]


def test_loop_resumed_keeps_the_best_epoch_from_before_the_kill(tmp_path):
    options = LoopOptions(epochs=4, batch_size=8, learning_rate=0.05, patience=0)
    one_epoch = []
    with pytest.raises(KilledError):

        def kill(row):
            one_epoch.append(weights_of(network).clone())
            raise KilledError

        network = make_network()
        run(options, network=network, task=make_task(validate=scripted([0.1]), metric="score"),
            checkpoint_folder=tmp_path / "run", on_epoch=kill)  # fmt: skip
    task = make_task(validate=scripted([0.5, 0.4, 0.3]), metric="score")
    resumed, _ = run(options, task=task, checkpoint_folder=tmp_path / "run")
    assert torch.equal(weights_of(resumed), one_epoch[0])


def test_checkpoint_of_other_options_is_not_resumed(tmp_path):
    run(LoopOptions(epochs=2, batch_size=8), checkpoint_folder=tmp_path / "run")
    seen = []
    run(LoopOptions(epochs=2, batch_size=8, learning_rate=0.5), checkpoint_folder=tmp_path / "run",
        on_epoch=lambda row: seen.append(row["epoch"]))  # fmt: skip
    assert seen == [0, 1]


def test_checkpoint_is_safetensors_and_json_only(tmp_path):
    run(LoopOptions(epochs=1, batch_size=8), checkpoint_folder=tmp_path / "run")
    assert {path.suffix for path in (tmp_path / "run").iterdir()} == {".safetensors", ".json"}
    sections, state = load_checkpoint(tmp_path / "run")
    assert set(sections) == {"model", "best"}
    assert len(state["history"]) == 1


def test_loop_same_seed_same_weights_other_seed_others():
    options = LoopOptions(epochs=2, batch_size=8, learning_rate=0.01)
    first, second, other = (weights_of(run(options, seed=seed)[0]) for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_loop_leaves_the_callers_random_state_as_it_was():
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    run(LoopOptions(epochs=1, batch_size=8), seed=5)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("is_higher_better", "values", "num_epochs", "best"),
    [
        (False, [0.5, 0.4, 0.45, 0.46, 0.1], 4, 1),
        (True, [0.5, 0.6, 0.55, 0.56, 0.9], 4, 1),
        (False, [0.5, math.nan, 0.4, 0.45, 0.46], 5, 2),
    ],
)
def test_loop_stops_when_patience_is_lost_and_returns_to_the_best_epoch(is_higher_better, values, num_epochs, best):
    task = make_task(validate=scripted(values), metric="score", is_higher_better=is_higher_better)
    network, kept = make_network(), []
    options = LoopOptions(epochs=9, batch_size=8, learning_rate=0.01, patience=2)
    _, result = run(options, task=task, network=network, on_epoch=lambda row: kept.append(weights_of(network).clone()))
    assert len(result.history) == num_epochs
    assert torch.equal(weights_of(network), kept[best])
    assert not torch.equal(kept[best], kept[-1])


def test_loop_learns_a_separable_task():
    options = LoopOptions(epochs=30, batch_size=8, learning_rate=0.02, schedule="constant")
    _, result = run(options)
    assert result.history[-1]["loss"] < 0.4 * result.history[0]["loss"]


def test_loop_clips_the_gradient_norm():
    network = make_network()
    before = weights_of(network).clone()
    options = LoopOptions(epochs=1, batch_size=24, optimizer="sgd", momentum=0.0, learning_rate=1.0, clip_norm=0.01,
                          weight_decay=0.0, schedule="constant", warm_up_fraction=0.0)  # fmt: skip
    run(options, network=network)
    assert float((weights_of(network) - before).norm()) == pytest.approx(0.01, rel=1e-3)


def test_loop_bf16_runs_beside_fp32_in_one_process():
    exact, _ = run(LoopOptions(epochs=1, batch_size=8, learning_rate=0.01))
    rounded, _ = run(LoopOptions(epochs=1, batch_size=8, learning_rate=0.01, mixed_precision="bf16"))
    assert weights_of(rounded).dtype == torch.float32
    assert not torch.equal(weights_of(exact), weights_of(rounded))
    torch.testing.assert_close(weights_of(exact), weights_of(rounded), atol=0.05, rtol=0.1)
    fresh = make_network().eval()
    fresh.load_state_dict(rounded.state_dict())
    inputs = torch.ones(2, 3)
    assert torch.equal(rounded(inputs), fresh(inputs))  # no autocast is left in the model


def test_loop_tells_epoch_loss_metric_and_time_left():
    lines = []
    task = make_task(validate=scripted([0.5, 0.4]), metric="score")
    run_loop(make_network(), task, STRATEGIES["full"](), LoopOptions(epochs=2), say=lines.append)
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2: loss ") and "score 0.4000" in lines[1] and "0 s left" in lines[1]


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_learning_rate_scale_equals_transformers(schedule):
    options = LoopOptions(schedule=schedule, warm_up_fraction=0.2)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    peers = {"linear": get_linear_schedule_with_warmup, "cosine": get_cosine_schedule_with_warmup}
    if schedule == "constant":
        expected = [min(1.0, step / 4) for step in range(20)]
    else:
        scheduler, expected = peers[schedule](optimizer, 4, 20), []
        for _ in range(20):
            expected.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    got = [learning_rate_scale(step, 20, options) for step in range(20)]
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_optimizer_decays_matrices_only_and_scales_groups():
    network = make_network()
    groups = [ParameterGroup(dict(network.named_parameters()), 0.5)]
    optimizer = make_optimizer(groups, LoopOptions(learning_rate=0.1, weight_decay=0.2))
    for group in optimizer.param_groups:
        assert group["lr"] == pytest.approx(0.05)
        assert group["weight_decay"] == (0.2 if group["params"][0].ndim > 1 else 0.0)
        assert len({parameter.ndim > 1 for parameter in group["params"]}) == 1


def test_soft_cross_entropy_equals_a_plain_loop():
    logits = np.array([[0.2, -1.0, 3.0], [1.0, 0.5, -2.0]])
    targets = np.array([[0.1, 0.2, 0.7], [1.0, 0.0, 0.0]])
    weights = np.array([2.0, 0.5])
    total = 0.0
    for row in range(2):
        normaliser = sum(math.exp(value) for value in logits[row])
        for place in range(3):
            total -= weights[row] * targets[row, place] * math.log(math.exp(logits[row, place]) / normaliser)
    got = soft_cross_entropy(torch.tensor(logits), torch.tensor(targets), torch.tensor(weights))
    assert float(got) == pytest.approx(total / weights.sum())


def test_options_unknown_key_names_the_nearest():
    with pytest.raises(BadParamsError, match="learning_rate"):
        parse_section(LoopOptions, {"learning_rat": 0.1}, where="training")


def test_dvclive_writes_only_when_a_folder_is_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(LoopOptions(epochs=2, batch_size=8))
    assert not list(tmp_path.iterdir())
    run(LoopOptions(epochs=2, batch_size=8, log_folder=str(tmp_path / "log")))
    summary = json.loads((tmp_path / "log" / "metrics.json").read_text())
    assert summary["step"] == 1 and summary["loss"] > 0
    assert not (tmp_path / "dvc.yaml").exists()


def test_tensorboard_writes_events(tmp_path):
    pytest.importorskip("tensorboard")
    run(LoopOptions(epochs=1, batch_size=8, trackers=("tensorboard",), log_folder=str(tmp_path)))
    assert list(tmp_path.rglob("events.out.tfevents.*"))


def test_tracker_that_is_not_installed_names_its_extra(monkeypatch):
    monkeypatch.setattr(trackers_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadParamsError, match=r"crossdomain\[wandb\]"):
        trackers_module.usable_trackers(["wandb"], None)
