"""The learner image_classifier on pictures with a planted blob."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from image_samples import image_samples
from sklearn.metrics import roc_auc_score
from tiny_image_backbone import TinyImageBackbone, use_tiny_backbone

from core.errors import BadInputError, BadParamsError, VerificationError
from core.images.image import Image
from core.learners import LEARNERS, load_learner, save_learner
from core.strategies import STRATEGIES
from core.transfers.base import TransferTask
from core.transfers.continued_training import ContinuedTraining

FAST = {"epochs": 2, "batch_size": 8, "learning_rate": 0.01, "schedule": "constant", "warm_up_fraction": 0.0}
FEW_STAGES = {name: {"num_stages": 2} for name in ("partial", "adapters", "lora", "bitfit")}


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    monkeypatch.setenv("CROSSDOMAIN_CACHE", str(tmp_path / "cache"))
    use_tiny_backbone(monkeypatch)


@pytest.fixture(scope="module")
def train():
    return image_samples(40, size=16, seed=1)[0]


@pytest.fixture(scope="module")
def fresh():
    return image_samples(30, size=16, seed=2)[0]


def make_learner(strategy="full", seed=0, training=None, **options):
    told = {"strategy": strategy, "strategy_options": FEW_STAGES.get(strategy, {}), "training": FAST | (training or {})}
    return LEARNERS["image_classifier"](told | options, seed=seed)


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_image_classifier_after_reload_gives_equal_logits(strategy, train, fresh, tmp_path):
    learner = make_learner(strategy).fit(train)
    expected = learner.predict_logits(fresh)
    save_learner(learner, tmp_path / "learner")
    assert np.array_equal(load_learner(tmp_path / "learner").predict_logits(fresh), expected)
    assert {path.suffix for path in (tmp_path / "learner").iterdir()} == {".json", ".safetensors"}


@pytest.mark.parametrize("strategy", ["linear_probe", "partial", "lora", "adapters", "bitfit"])
def test_image_classifier_saves_only_what_moved(strategy, train, tmp_path):
    from safetensors.torch import load_file

    learner = make_learner(strategy).fit(train)
    learner.save_state(tmp_path)
    saved = load_file(tmp_path / "moved.safetensors")
    first = TinyImageBackbone().state_dict()
    for name, tensor in saved.items():
        same = first.get(name.removeprefix("backbone."))
        assert same is None or not torch.equal(same, tensor), name
    assert not any(name.startswith(("backbone.layers.0", "backbone.layers.1")) for name in saved)
    assert {"head.weight", "head.bias"} <= set(saved)
    assert any("running_mean" in name for name in saved) == (strategy in ("partial", "bitfit"))


@pytest.mark.parametrize(
    ("strategy", "told"), [("full", {}), ("partial", {"num_stages": 2}), ("adapters", {"reduction": 1}), ("lora", {})]
)
def test_image_classifier_learns_the_blob(strategy, told):
    training = {"epochs": 30, "learning_rate": 0.02, "schedule": "cosine", "warm_up_fraction": 0.1}
    train, fresh = (image_samples(num, size=16, seed=num, noise=0.04)[0] for num in (80, 60))
    learner = make_learner(strategy, training=training, strategy_options=told, views="dihedral").fit(train)
    assert roc_auc_score(fresh.labels, learner.predict_logits(fresh)) > 0.75


@pytest.mark.parametrize("strategy", ["partial", "adapters", "lora", "bitfit"])
def test_image_classifier_with_kept_activations_learns_the_same_as_from_pixels(strategy, train, fresh, monkeypatch):
    def logits(keep):
        learner = make_learner(
            strategy,
            views="none",
            keep_activations=keep,
            jitter={"brightness": 0.0, "contrast": 0.0},
            dropout=0.0,
        ).fit(train)
        return learner.predict_logits(fresh)

    np.testing.assert_allclose(logits(True), logits(False), atol=0.05)


def test_image_classifier_with_kept_activations_never_runs_the_trunk_again(train, monkeypatch):
    make_learner("partial", views="dihedral").fit(train.take(np.arange(40)))
    calls = []
    run = TinyImageBackbone.run
    monkeypatch.setattr(
        TinyImageBackbone,
        "run",
        lambda self, x, start=0, stop=None: calls.append((start, stop, len(x))) or run(self, x, start, stop),
    )
    many = image_samples(70, size=16, seed=4)[0]
    make_learner("partial", views="dihedral").fit(many)
    first = sum(num for start, stop, num in calls if (start, stop) == (0, 2))
    calls.clear()
    make_learner("partial", views="dihedral", seed=1, training={"epochs": 4}).fit(many)
    assert first == 8 * 70 + 1
    assert sum(num for start, stop, num in calls if (start, stop) == (0, 2)) == 1  # one picture tells the size
    assert sum(num for start, _, num in calls if start == 2) == 4 * 70


def test_image_classifier_too_large_for_the_cache_trains_from_pixels(train, monkeypatch, tmp_path):
    from core.learners import activation_cache

    monkeypatch.setattr(activation_cache.ActivationCache, "has_room", lambda self, num_bytes: False)
    learner = make_learner("partial").fit(train)
    assert np.isfinite(learner.predict_logits(train)).all()
    assert not (tmp_path / "cache" / "activations").exists()


def test_image_classifier_scores_a_picture_alone_as_among_others(train, fresh):
    learner = make_learner("partial", test_views="flips").fit(train)
    together = learner.predict_logits(fresh)
    np.testing.assert_allclose(learner.predict_logits(fresh.take([3])), together[[3]], rtol=1e-4, atol=1e-4)


def test_image_classifier_test_views_make_a_mirrored_picture_score_the_same(train, fresh):
    learner = make_learner("full", test_views="flips").fit(train)
    mirrored = fresh.inputs.assign(
        image=[Image.of_pixels(np.ascontiguousarray(image.pixels[:, ::-1])) for image in fresh.inputs["image"]]
    )
    plain = learner.predict_logits(fresh)
    np.testing.assert_allclose(learner.predict_logits(replace(fresh, inputs=mirrored)), plain, atol=1e-4)


def test_image_classifier_with_the_same_seed_gives_the_same_and_with_another_not(train, fresh):
    recipe = {"mixup_alpha": 0.4}
    first, again, other = (make_learner(seed=s, recipe=recipe).fit(train).predict_logits(fresh) for s in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("strategy", ["full", "partial"])
def test_image_classifier_ends_at_its_best_epoch_statistics_included(strategy, train):
    contrary = train.with_labels(1 - train.labels)  # the more is learned, the worse it gets
    learner = make_learner(strategy, training={"epochs": 8, "learning_rate": 0.02, "patience": 0})
    learner.fit(train, contrary)
    losses = [row["valid_log_loss"] for row in learner.history_]
    assert np.argmin(losses) < len(losses) - 1  # else the test tells nothing
    probability = learner.predict_probability(contrary)[np.arange(len(contrary)), contrary.targets]
    assert -np.log(probability).mean() == pytest.approx(min(losses), rel=1e-4)


def test_image_classifier_that_loses_patience_stops_early(train, fresh):
    learner = make_learner(training={"epochs": 30, "learning_rate": 1.0, "patience": 2, "optimizer": "sgd"})
    assert len(learner.fit(train, fresh).history_) < 30


@pytest.mark.parametrize("balance", ["weights", "batches"])
def test_image_classifier_with_balanced_classes_keeps_the_base_rate(balance):
    rare = image_samples(60, size=16, seed=3, positive_fraction=0.15)[0]
    options = {"recipe": {"class_balance": balance}, "training": {"epochs": 8}}
    learner = make_learner("linear_probe", **options).fit(rare)
    assert learner.log_odds_ == pytest.approx(np.log(0.15 / 0.85))
    assert learner.predict_probability(rare)[:, 1].mean() == pytest.approx(0.15, abs=0.1)


def test_image_classifier_focal_loss_and_mixup_change_what_is_learned(train, fresh):
    plain = make_learner().fit(train).predict_logits(fresh)
    for recipe in ({"loss": "focal"}, {"mixup_alpha": 1.0}):
        assert not np.allclose(make_learner(recipe=recipe).fit(train).predict_logits(fresh), plain)


def test_image_classifier_soft_labels_are_learned_where_told(train):
    graded = replace(train, label_probability=np.where(train.labels == 1, 0.6, 0.4))
    options = {"training": {"epochs": 25, "learning_rate": 0.02}}
    hard, soft = (
        np.abs(make_learner(use_soft_labels=told, **options).fit(graded).predict_logits(train)).mean()
        for told in (False, True)
    )
    assert soft < 0.7 * hard


def test_image_classifier_with_a_weight_of_zero_forgets_the_row(train, fresh):
    poison = train.with_labels(1 - train.labels).take(np.arange(10)).with_weights(np.zeros(10))
    from core.data.samples import concatenate

    both = concatenate([train, poison])
    plain = make_learner().fit(train).predict_logits(fresh)
    assert np.array_equal(make_learner().fit(both).predict_logits(fresh), plain)


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_image_classifier_continued_starts_from_the_source_weights(strategy, train, fresh, tmp_path):
    source = make_learner(strategy, training={"epochs": 4}).fit_prior(train, fresh)
    before = source.predict_logits(fresh)
    still = LEARNERS["image_classifier"](
        {
            "strategy": strategy,
            "strategy_options": FEW_STAGES.get(strategy, {}),
            "training": FAST | {"learning_rate": 1e-12, "epochs": 1, "weight_decay": 0.0},
            "keep_statistics": True,
        }
    )
    still.__dict__.update({key: value for key, value in source.__dict__.items() if key != "options"})
    grown = still.continue_on(fresh)
    np.testing.assert_allclose(grown.predict_logits(fresh), before, atol=1e-3)
    np.testing.assert_array_equal(source.predict_logits(fresh), before)
    save_learner(grown, tmp_path / "grown")
    assert np.array_equal(load_learner(tmp_path / "grown").predict_logits(fresh), grown.predict_logits(fresh))


def test_continued_training_of_an_image_classifier_fits_target_rows(train, fresh):
    few = fresh.with_labels(np.where(np.arange(len(fresh)) < 10, fresh.labels, np.nan))
    valid = fresh.take(np.arange(10, 30))
    task = TransferTask(train, few, valid, lambda: make_learner("partial"), 0)
    learner = ContinuedTraining().fit(task)
    assert np.isfinite(learner.predict_logits(fresh)).all()


def test_image_classifier_broken_off_and_resumed_ends_as_never_broken_off(train, fresh, tmp_path):
    training = {"epochs": 4}
    whole = make_learner("lora", training=training).fit(train).predict_logits(fresh)
    folder = str(tmp_path / "run")

    class HaltError(Exception):
        pass

    from core.learners import torch_loop

    keep = torch_loop._Run._keep

    def halting(self, row):
        keep(self, row)
        if row["epoch"] == 1:
            raise HaltError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_loop._Run, "_keep", halting)
        with pytest.raises(HaltError):
            make_learner("lora", training=training, checkpoint_folder=folder).fit(train)
    resumed = make_learner("lora", training=training, checkpoint_folder=folder).fit(train)
    np.testing.assert_allclose(resumed.predict_logits(fresh), whole, atol=1e-5)


def test_image_classifier_on_another_size_names_the_row(train):
    learner = make_learner().fit(train)
    with pytest.raises(BadInputError, match=r"row 'line_a-0000' has shape \(24, 24, 1\), expected \(16, 16, 1\)"):
        learner.predict_logits(image_samples(4, size=24)[0])


def test_image_classifier_of_one_class_or_of_no_picture_refuses(train):
    with pytest.raises(BadParamsError, match="one class"):
        make_learner().fit(train.take(train.labels == 1))
    from small_tables import make_table

    with pytest.raises(BadParamsError, match="one image column"):
        make_learner().fit(make_table(20))


def test_image_classifier_unknown_strategy_stops_before_any_work():
    with pytest.raises(BadParamsError, match="partial"):
        make_learner("partal")


def test_image_classifier_with_a_tensor_missing_is_refused(train, tmp_path):
    from safetensors.torch import load_file, save_file

    save_learner(make_learner("partial").fit(train), tmp_path)
    tensors = load_file(tmp_path / "moved.safetensors")
    tensors.pop("head.bias")
    save_file(tensors, tmp_path / "moved.safetensors")
    with pytest.raises(VerificationError, match=r"head\.bias"):
        load_learner(tmp_path)


def test_image_classifier_in_bf16_is_near_float32(train, fresh):
    def logits(precision):
        training = {"mixed_precision": precision, "learning_rate": 1e-3}
        return make_learner("partial", training=training, dropout=0.0).fit(train).predict_logits(fresh)

    plain, half = logits("no"), logits("bf16")
    np.testing.assert_allclose(half, plain, atol=0.1)
    assert not np.array_equal(half, plain)
