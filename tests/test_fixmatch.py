"""FixMatch: its loss by plain loops, what it may read, and that sure guesses help."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from image_samples import image_samples
from scipy.special import expit
from sklearn.metrics import log_loss
from tiny_image_backbone import use_tiny_backbone

from core.errors import BadParamsError
from core.images.image import images_of
from core.learners import LEARNERS, load_learner, save_learner
from core.learners.fixmatch_rows import fixmatch_rows, guess_labels, some_unlabelled, with_images
from core.learners.strong_views import StrongOptions, strong_images
from core.transfers.base import TransferTask
from core.transfers.fixmatch import FixMatch

PROBE = {
    "backbone": "mobilenetv3_small_050",
    "scratch_seed": 0,
    "stages": (2, 3),
    "views": "none",
    "precision": "fp32",
    "head": "logistic",
    "strength": 10.0,
}
QUICK = {"threshold": 0.6, "num_strong": 1, "max_rounds": 2}


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("CROSSDOMAIN_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def sides():
    return image_samples(40, seed=1, domain="line_b")[0], image_samples(60, seed=2)[0]


def make_task(source, target, *, num_labels=0, valid=None, learner="image_probe", **options):
    labels = np.where(np.arange(len(target)) < num_labels, target.labels, np.nan)
    told = (PROBE if learner == "image_probe" else {}) | options
    return TransferTask(source, target.with_labels(labels), valid, partial(LEARNERS[learner], told, seed=0))


def brightness_logits(samples):
    return np.array([(float(image.pixels.mean()) - 128.0) / 4.0 for image in images_of(samples)])


def test_fixmatch_rows_have_the_loss_of_the_formula_by_plain_loops():
    threshold, weight = 0.7, 1.5
    labelled = image_samples(12, seed=3)[0]
    labelled = labelled.with_weights(np.random.default_rng(0).uniform(0.5, 2.0, 12))
    unlabelled = some_unlabelled(make_task(labelled, image_samples(20, seed=4, noise=0.3)[0]).target, 100)
    strong = [
        with_images(unlabelled, strong_images(images_of(unlabelled), StrongOptions(), number=n, seed=0), f"s{n}")
        for n in range(2)
    ]

    def cross_entropy(label, logit):
        return -np.log(expit(logit)) if label == 1 else -np.log(1.0 - expit(logit))

    supervised = [
        w * cross_entropy(y, z)
        for w, y, z in zip(labelled.weights, labelled.labels, brightness_logits(labelled), strict=True)
    ]
    expected, num_sure = sum(supervised) / sum(labelled.weights), 0
    of_copies = [brightness_logits(copy) for copy in strong]
    for row, weak in enumerate(brightness_logits(unlabelled)):
        q = [1.0 - expit(weak), expit(weak)]
        if max(q) >= threshold:
            num_sure += 1
            for logits in of_copies:
                expected += weight * cross_entropy(int(np.argmax(q)), logits[row]) / (len(unlabelled) * len(strong))
    guesses = guess_labels(brightness_logits(unlabelled), threshold)
    rows = fixmatch_rows(labelled, strong, guesses, unlabelled_weight=weight)
    found = log_loss(rows.labels, expit(brightness_logits(rows)), sample_weight=rows.weights, normalize=False)
    assert 0 < num_sure < len(unlabelled)
    assert found / labelled.weights.sum() == pytest.approx(expected, rel=1e-9)
    assert len(set(rows.sample_ids)) == len(rows) == 12 + 2 * num_sure


def test_guess_labels_are_believed_from_the_threshold_on():
    logits = np.log([0.05 / 0.95, 0.4 / 0.6, 0.6 / 0.4, 0.96 / 0.04])
    np.testing.assert_array_equal(guess_labels(logits, 0.95 - 1e-12), [0.0, np.nan, np.nan, 1.0])


def test_some_unlabelled_takes_no_labelled_row_and_keeps_to_the_limit(sides):
    target = make_task(*sides, num_labels=20).target
    assert set(some_unlabelled(target, 1000).sample_ids) == set(target.sample_ids[20:])
    assert len(some_unlabelled(target, 7)) == 7


def test_transfer_with_target_labels_leaves_the_source_unread(sides):
    source, target = sides
    turned = source.with_labels(1.0 - source.labels)
    found = [
        FixMatch(QUICK).fit(make_task(one, target, num_labels=20)).predict_logits(target) for one in (source, turned)
    ]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("num_labels", [0, 20])
def test_transfer_never_reads_a_masked_label_or_a_validation_row(sides, num_labels):
    source, target = sides
    turned = np.where(np.arange(len(target)) < num_labels, target.labels, 1.0 - target.labels)
    fresh = image_samples(10, seed=9)[0]
    valid = image_samples(20, seed=5)[0]
    found = [
        FixMatch(QUICK).fit(make_task(source, one, num_labels=num_labels, valid=held)).predict_logits(fresh)
        for one, held in (
            (target, valid),
            (target.with_labels(turned), valid.with_labels(1.0 - valid.labels)),
            (replace(target, kinds=np.where(np.arange(60) < num_labels, target.kinds, "secret")), None),
        )
    ]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_transfer_sure_of_nothing_is_the_supervised_learner(sides):
    source, target = sides
    task = make_task(source, target, num_labels=20)
    expected = task.make_learner().fit_prior(source, task.target).continue_on(task.target.labelled())
    found = FixMatch({"threshold": 0.999999, "use_source_start": True}).fit(task)
    np.testing.assert_array_equal(found.predict_logits(target), expected.predict_logits(target))


def test_transfer_makes_it_surer_of_strong_copies(sides):
    """The refitted head loses less on the strong copies of what it was sure of than the supervised head."""
    source, target = sides
    task = make_task(source, target, num_labels=20)
    start = task.make_learner().fit_prior(source, task.target).continue_on(task.target.labelled())
    fitted = FixMatch(QUICK | {"max_rounds": 1, "use_source_start": True}).fit(task)
    unlabelled = some_unlabelled(task.target, 1000)
    guesses = guess_labels(start.predict_logits(unlabelled), QUICK["threshold"])
    is_sure = ~np.isnan(guesses)
    copies = with_images(unlabelled, strong_images(images_of(unlabelled), StrongOptions(), number=0, seed=0), "s")
    losses = [
        log_loss(guesses[is_sure], expit(learner.predict_logits(copies.take(is_sure))), labels=[0, 1])
        for learner in (start, fitted)
    ]
    assert losses[1] < losses[0] - 1e-3


def test_saved_learner_gives_equal_logits(sides, tmp_path):
    fitted = FixMatch(QUICK).fit(make_task(*sides, num_labels=20))
    save_learner(fitted, tmp_path / "learner")
    np.testing.assert_array_equal(
        load_learner(tmp_path / "learner").predict_logits(sides[1]), fitted.predict_logits(sides[1])
    )


def test_transfer_refits_an_image_classifier(monkeypatch):
    use_tiny_backbone(monkeypatch)
    source, target = (image_samples(24, size=16, seed=seed)[0] for seed in (1, 2))
    training = {"epochs": 1, "batch_size": 8, "learning_rate": 0.01, "trackers": ()}
    task = make_task(source, target, learner="image_classifier", training=training, views="none")
    start = task.make_learner().fit_prior(source, task.target)
    fitted = FixMatch(QUICK | {"threshold": 0.5}).fit(task)
    assert np.abs(fitted.predict_logits(target) - start.predict_logits(target)).max() > 1e-6


@pytest.mark.parametrize(("learner", "options"), [("surface_cues", {}), ("image_probe", {"head": "ridge"})])
def test_learner_that_cannot_be_refitted_is_refused(learner, options, sides):
    with pytest.raises(BadParamsError, match="cannot be refitted"):
        FixMatch().fit(make_task(*sides, learner=learner, **options))


def test_transfer_without_any_label_is_refused(sides):
    source, target = sides
    with pytest.raises(BadParamsError, match="both classes"):
        FixMatch().fit(make_task(source.take(np.array([], dtype=int)), target))
