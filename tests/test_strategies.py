import numpy as np
import pytest
import torch
from torch import nn

from core.errors import BadParamsError
from core.learners.loop_options import LoopOptions
from core.learners.torch_loop import LoopTask, run_loop
from core.strategies import STRATEGIES


class SmallBackbone(nn.Module):
    """Three linear stages."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def stages(self):
        return list(self.layers)

    def forward(self, inputs):
        for layer in self.layers:
            inputs = torch.tanh(layer(inputs))
        return inputs


class SmallModel(nn.Module):
    """A backbone and a head."""

    def __init__(self):
        super().__init__()
        self.backbone, self.head = SmallBackbone(), nn.Linear(4, 2)

    def forward(self, inputs):
        return self.head(self.backbone(inputs))


def make_model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SmallModel()


def train(model, strategy, *, epochs=1, learning_rate=0.1):
    """A few real steps of the loop; the names of tensors that changed, among those that were there before."""
    generator = np.random.default_rng(0)
    items = [torch.tensor(row, dtype=torch.float32) for row in generator.normal(size=(16, 4))]
    task = LoopTask(
        items,
        torch.stack,
        lambda wrapped, batch: nn.functional.cross_entropy(wrapped(batch), (batch.sum(dim=1) > 0).long()),
    )
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    options = LoopOptions(
        epochs=epochs, batch_size=8, learning_rate=learning_rate, schedule="constant", optimizer="sgd"
    )
    run_loop(model, task, strategy, options, say=lambda line: None)
    after = {name.replace(".base_layer", ""): tensor for name, tensor in model.state_dict().items()}
    return {name for name in before if not torch.equal(before[name], after[name])}


ALL = set(make_model().state_dict())
HEAD = {name for name in ALL if name.startswith("head")}
# After one epoch, what has moved of the tensors that were there before.
EXPECTED = {
    "linear_probe": HEAD,
    "full": ALL,
    "l2_sp": ALL,
    "lp_ft": HEAD,
    "gradual_unfreeze": HEAD,
    "lora": HEAD,
    "adapters": HEAD,
    "bitfit": HEAD | {f"backbone.layers.{stage}.bias" for stage in range(3)},
    "partial": HEAD | {name for name in ALL if name.startswith(("backbone.layers.1", "backbone.layers.2"))},
    "scratch": ALL,
}


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_strategy_first_epoch_moves_what_it_says_and_nothing_else(name):
    assert train(make_model(), STRATEGIES[name]()) == EXPECTED[name]


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_strategy_groups_hold_each_parameter_once_and_the_head_always(name):
    model = make_model()
    groups = STRATEGIES[name]().prepare(model)
    names = [parameter for group in groups for parameter in group.parameters]
    assert len(names) == len(set(names))
    assert set(names) >= HEAD
    assert set(names) <= {parameter for parameter, _ in model.named_parameters()}


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_strategy_unknown_option_is_refused(name):
    with pytest.raises(BadParamsError, match="no_such_option"):
        STRATEGIES[name]({"no_such_option": 1})


def test_lp_ft_moves_the_backbone_after_its_head_epochs():
    assert train(make_model(), STRATEGIES["lp_ft"]({"head_epochs": 2}), epochs=2) == HEAD
    assert train(make_model(), STRATEGIES["lp_ft"]({"head_epochs": 2}), epochs=3) == ALL


def test_gradual_unfreeze_frees_one_stage_an_epoch_from_the_output_side():
    last = {"backbone.layers.2.weight", "backbone.layers.2.bias"}
    assert train(make_model(), STRATEGIES["gradual_unfreeze"](), epochs=2) == HEAD | last
    assert train(make_model(), STRATEGIES["gradual_unfreeze"](), epochs=4) == ALL


def test_full_layer_decay_scales_each_stage():
    groups = STRATEGIES["full"]({"layer_decay": 0.5}).prepare(make_model())
    scales = {name: group.learning_rate_scale for group in groups for name in group.parameters}
    assert scales["head.weight"] == 1.0
    assert [scales[f"backbone.layers.{stage}.bias"] for stage in (2, 1, 0)] == [0.5, 0.25, 0.125]


def test_l2_sp_penalty_equals_a_plain_loop():
    model = make_model()
    start = {name: parameter.detach().numpy().copy() for name, parameter in model.named_parameters()}
    strategy = STRATEGIES["l2_sp"]({"strength": 0.3, "head_strength": 0.7})
    strategy.prepare(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.arange(parameter.numel()).reshape(parameter.shape)
    expected = 0.0
    for name, parameter in model.named_parameters():
        values, first = parameter.detach().numpy().ravel(), start[name].ravel()
        for value, origin in zip(values, first, strict=True):
            is_head = name.startswith("head")
            expected += 0.5 * (0.7 * value**2 if is_head else 0.3 * (value - origin) ** 2)
    assert strategy.penalty().item() == pytest.approx(expected, rel=1e-5)


def test_l2_sp_strong_pull_keeps_the_backbone_near_its_start():
    def distance(strength):
        model = make_model()
        start = [p.detach().clone() for p in model.backbone.parameters()]
        train(model, STRATEGIES["l2_sp"]({"strength": strength}), epochs=5, learning_rate=0.05)
        return sum((p - q).pow(2).sum().item() for p, q in zip(model.backbone.parameters(), start, strict=True))

    assert distance(5.0) < 0.2 * distance(0.0)


def test_lora_starts_as_the_backbone_was_and_then_adapts():
    inputs = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    model = make_model().eval()
    before = model.backbone(inputs)
    STRATEGIES["lora"]({"rank": 2}).prepare(model)
    model.eval()
    torch.testing.assert_close(model.backbone(inputs), before)

    trained = make_model()
    train(trained, STRATEGIES["lora"]({"rank": 2}), epochs=3)
    assert not torch.allclose(trained.backbone(inputs), before)
