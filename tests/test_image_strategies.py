"""Every strategy on an image model: which weights and batch statistics move, and where the frozen part ends."""

import numpy as np
import pytest
import torch
from image_samples import image_samples
from tiny_image_backbone import TinyImageBackbone, use_tiny_backbone
from torch import nn

from core.errors import BadParamsError
from core.learners import LEARNERS, load_learner, save_learner
from core.learners.image_model import ImageModel
from core.learners.loop_options import LoopOptions
from core.learners.torch_loop import LoopTask, run_loop
from core.strategies import STRATEGIES

STATE = ImageModel(TinyImageBackbone()).state_dict()
HEAD = {"head.weight", "head.bias"}
BACKBONE = set(STATE) - HEAD
STATISTICS = {name for name in STATE if name.endswith(("running_mean", "running_var", "num_batches_tracked"))}
NORMS = {f"backbone.layers.{stage}.{norm}" for stage in (1, 2, 3) for norm in ("norm_in", "norm_out")}
NORMS |= {"backbone.layers.0.1"}


def of_stages(*numbers):
    return {name for name in BACKBONE if int(name.split(".")[2]) in numbers}


def of_norms(*, stages=(0, 1, 2, 3)):
    return {name for name in of_stages(*stages) if name.rsplit(".", 1)[0] in NORMS}


# (strategy, its options, epochs) -> what has moved of the tensors that were there before, and the frozen stages.
CASES = [
    ("linear_probe", {}, 2, HEAD, 4),
    ("full", {}, 1, HEAD | BACKBONE, 0),
    ("l2_sp", {}, 1, HEAD | BACKBONE, 0),
    ("scratch", {}, 1, HEAD | BACKBONE, 0),
    ("lp_ft", {"head_epochs": 1}, 1, HEAD, 0),
    ("lp_ft", {"head_epochs": 1}, 2, HEAD | BACKBONE, 0),
    ("gradual_unfreeze", {}, 1, HEAD, 0),
    ("gradual_unfreeze", {}, 3, HEAD | of_stages(2, 3), 0),
    ("partial", {"num_stages": 1}, 2, HEAD | of_stages(3), 3),
    ("partial", {"num_stages": 9}, 1, HEAD | BACKBONE, 0),
    ("bitfit", {"norm_only": True}, 1, HEAD | of_norms(), 0),
    (
        "bitfit",
        {"num_stages": 2},
        1,
        HEAD | of_norms(stages=(2, 3)) | {f"backbone.layers.{stage}.pointwise.bias" for stage in (2, 3)},
        2,
    ),
    ("lora", {"rank": 2}, 2, HEAD, 1),
    ("lora", {"rank": 2, "num_stages": 1}, 2, HEAD, 3),
    ("adapters", {}, 2, HEAD, 0),
    ("adapters", {"num_stages": 2}, 2, HEAD, 2),
]


def make_model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ImageModel(TinyImageBackbone())


def pictures(num=8):
    return torch.randn(num, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def train(model, strategy, *, epochs):
    """Names of the tensors that changed, among those that were there before."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    task = LoopTask(
        list(pictures()),
        torch.stack,
        lambda wrapped, batch: nn.functional.cross_entropy(wrapped(batch), (batch.mean(dim=(1, 2, 3)) > 0).long()),
    )
    options = LoopOptions(epochs=epochs, batch_size=4, learning_rate=0.1, schedule="constant", optimizer="sgd")
    run_loop(model, task, strategy, options, say=lambda line: None)
    after = {name.replace(".base_layer", ""): tensor for name, tensor in model.state_dict().items()}
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_cases_cover_every_strategy():
    assert {case[0] for case in CASES} == set(STRATEGIES)


@pytest.mark.parametrize(("name", "options", "epochs", "expected", "num_frozen"), CASES)
def test_image_strategy_moves_what_it_says_statistics_included(name, options, epochs, expected, num_frozen):
    model, strategy = make_model(), STRATEGIES[name](options)
    assert train(model, strategy, epochs=epochs) == expected
    assert strategy.frozen_stages == num_frozen


@pytest.mark.parametrize(("name", "options", "epochs", "expected", "num_frozen"), CASES)
def test_image_strategy_after_training_gives_the_old_output_at_its_cut(name, options, epochs, expected, num_frozen):
    model = make_model()
    before = model.backbone.run(pictures(), 0, num_frozen)
    train(model, STRATEGIES[name](options), epochs=epochs)
    model.train()
    torch.testing.assert_close(model.backbone.run(pictures(), 0, num_frozen), before)


@pytest.mark.parametrize("name", ["lora", "adapters"])
def test_image_strategy_that_adds_modules_starts_as_the_model_was_and_then_adapts(name):
    model = make_model().eval()
    before = model(pictures())
    features = model.backbone(pictures())
    groups = STRATEGIES[name]().prepare(model)
    torch.testing.assert_close(model.eval()(pictures()), before)
    with torch.no_grad():
        for group in groups[1:]:
            for parameter in group.parameters.values():
                parameter += 0.1
    assert not torch.allclose(model.backbone(pictures()), features, atol=1e-3)


def test_adapters_output_equals_the_formula():
    model = make_model()
    STRATEGIES["adapters"]({"num_stages": 1, "reduction": 2}).prepare(model)
    adapter = model.backbone.stage_adapters["3"]
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
        maps_in = model.backbone.run(pictures(2), 0, 3)
        plain = model.backbone.layers[3].forward(maps_in).numpy()
        found = model.backbone.run(maps_in, 3).numpy()
    down, up = ({key: value.detach().numpy() for key, value in adapter[part].named_parameters()} for part in adapter)
    for row in range(2):
        for y in range(plain.shape[2]):
            for x in range(plain.shape[3]):
                values = plain[row, :, y, x]
                inner = np.maximum(down["weight"] @ values + down["bias"], 0.0)
                expected = values + up["weight"] @ inner + up["bias"]
                np.testing.assert_allclose(found[row, :, y, x], expected, rtol=1e-3, atol=1e-3)


def test_adapters_twice_on_one_model_are_refused():
    model = make_model()
    STRATEGIES["adapters"]().prepare(model)
    with pytest.raises(BadParamsError, match="already"):
        STRATEGIES["adapters"]().prepare(model)


def test_lora_adapts_pointwise_convolutions_and_never_grouped_ones():
    model = make_model()
    groups = STRATEGIES["lora"]().prepare(model)
    adapted = {name.split(".lora_")[0] for group in groups for name in group.parameters if "lora_" in name}
    assert adapted == {f"backbone.layers.{stage}.pointwise" for stage in (1, 2, 3)}
    with pytest.raises(BadParamsError, match="no layer to adapt named depthwise"):
        STRATEGIES["lora"]({"targets": ["depthwise"]}).prepare(make_model())


@pytest.mark.parametrize("name", ["lora", "adapters", "partial", "bitfit", "full", "scratch"])
def test_image_strategy_layer_decay_scales_each_stage(name):
    options = {"layer_decay": 0.5} | ({"num_stages": 3} if name == "partial" else {})
    groups = STRATEGIES[name](options).prepare(make_model())
    scales = [group.learning_rate_scale for group in groups]
    assert scales == [0.5**power for power in range(len(groups))]
    assert len(groups) >= 4


def test_scratch_draws_other_weights_by_the_seed_and_fresh_statistics():
    def first_weights(seed):
        model = make_model()
        model.backbone.layers[0][1].running_mean.fill_(5.0)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            STRATEGIES["scratch"]().prepare(model)
        assert not model.backbone.layers[0][1].running_mean.any()
        return model.backbone.layers[0][0].weight.detach().clone()

    assert torch.equal(first_weights(1), first_weights(1))
    assert not torch.equal(first_weights(1), first_weights(2))
    assert not torch.equal(first_weights(1), STATE["backbone.layers.0.0.weight"])


def test_keep_statistics_lets_weights_move_and_not_the_statistics():
    model = make_model()
    model.keep_statistics = True
    moved = train(model, STRATEGIES["full"](), epochs=1)
    assert moved == (HEAD | BACKBONE) - STATISTICS


@pytest.mark.parametrize("num", [2, 3, 5, 17])
@pytest.mark.parametrize("name", list(STRATEGIES))
def test_image_classifier_at_every_label_budget_fits(name, num, monkeypatch, tmp_path):
    monkeypatch.setenv("CROSSDOMAIN_CACHE", str(tmp_path))
    use_tiny_backbone(monkeypatch)
    samples, _ = image_samples(num, size=16)
    training = {"epochs": 2, "batch_size": 4, "learning_rate": 0.01}
    learner = LEARNERS["image_classifier"]({"strategy": name, "training": training}).fit(samples)
    probability = learner.predict_probability(samples)
    assert probability.shape == (num, 2)
    assert np.isfinite(probability).all()


@pytest.mark.parametrize(
    ("name", "options", "num_frozen"),
    [
        ("linear_probe", {}, 9),
        ("partial", {"num_stages": 2}, 7),
        ("bitfit", {"num_stages": 2}, 7),
        ("lora", {"num_stages": 3}, 6),
        ("adapters", {"num_stages": 1}, 8),
        ("adapters", {}, 0),
        ("full", {}, 0),
        ("scratch", {}, 0),
    ],
)
def test_image_strategy_on_efficientnet_lite0_fits_and_reloads(name, options, num_frozen, monkeypatch, tmp_path):
    monkeypatch.setenv("CROSSDOMAIN_CACHE", str(tmp_path / "cache"))
    samples, _ = image_samples(4, size=64)
    told = {
        "strategy": name,
        "strategy_options": options,
        "views": "flip_horizontal",
        "training": {"epochs": 1, "batch_size": 4, "learning_rate": 0.01},
    }
    learner = LEARNERS["image_classifier"](told).fit(samples)
    assert learner.frozen_stages_ == num_frozen
    expected = learner.predict_logits(samples)
    save_learner(learner, tmp_path / "learner")
    assert np.array_equal(load_learner(tmp_path / "learner").predict_logits(samples), expected)
