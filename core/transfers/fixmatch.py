"""The target's unlabelled pictures teach, too: a sure guess of the picture must hold for a strongly changed copy."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from core.data.samples import Samples
from core.errors import BadParamsError
from core.images.image import images_of
from core.learners.base import LEARNERS, Learner
from core.learners.fixmatch_rows import FixMatchOptions, fixmatch_rows, guess_labels, some_unlabelled, with_images
from core.learners.image_classifier import ImageClassifier
from core.learners.image_probe import ImageProbe
from core.params import parse_section
from core.transfers.base import TRANSFERS, Transfer, TransferTask
from core.transfers.source_fits import usable_valid


@TRANSFERS.register("fixmatch")
class FixMatch(Transfer):
    """Guess, refit on labels and strong copies of the sure ones, guess again, until the guesses stay.

    Labels are those of the target, or of the source where the target has not two classes labelled: a source model that
    is wrong in the target is then made surer, not right, so compare with `source_only`. The weak view is the picture as
    the learner sees it when it scores. Unlike in the paper the guesses are renewed with each refit and not with each
    step, so that a closed-form head can be refitted.

    Source: Sohn et al. 2020, "FixMatch: simplifying semi-supervised learning with consistency and confidence",
    equations 3 and 4.
    """

    needs_source = False
    needs_target_labels = False
    learns_unlabelled = True

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        """options: those of `FixMatchOptions`."""
        self.options = parse_section(FixMatchOptions, options or {}, where="fixmatch options")

    def fit(self, task: TransferTask) -> Learner:
        """The learner fitted on the labelled rows and on the unlabelled target rows that it is sure of.

        Raises:
            BadParamsError: the learner is none for pictures, its head cannot be trained on, or no side has labels.
        """
        check_semi_supervised(task.make_learner())
        prior, start, labelled = self._start(task)
        unlabelled = some_unlabelled(task.target, self.options.max_pictures)
        if not len(unlabelled) or self.options.unlabelled_weight == 0:
            return start
        return self._refit(task, prior, start, labelled, unlabelled)

    def _start(self, task: TransferTask) -> tuple[Learner, Learner, Samples]:
        """(what refits start from, the supervised learner, the labelled rows)."""
        source, target = task.source.labelled(), task.target.labelled()
        has_target = len(np.unique(target.targets)) > 1
        if has_target and len(source) and self.options.use_source_start:
            prior = task.make_learner().fit_prior(source, task.target)
            return prior, prior.continue_on(target, usable_valid(task)), target
        if has_target:
            fitted = task.make_learner().fit(target, usable_valid(task))
            return fitted, fitted, target
        if not len(source):
            raise BadParamsError(
                "Transfer 'fixmatch' needs labels of both classes on one side.",
                repair="Raise the label budget, or name source domains in prepare.source_domains.",
            )
        prior = task.make_learner().fit_prior(source, task.target)
        return prior, prior, source

    def _refit(
        self, task: TransferTask, prior: Learner, start: Learner, labelled: Samples, unlabelled: Samples
    ) -> Learner:
        """Rounds of guesses and refits; every refit starts from `prior`."""
        from core.learners.strong_views import StrongOptions, strong_images

        told, images = self.options, images_of(unlabelled)
        strong = [
            with_images(
                unlabelled, strong_images(images, StrongOptions(), number=number, seed=task.seed), f"strong {number}"
            )
            for number in range(told.num_strong)
        ]
        prior, fitted, before = _of_one_strength(prior, start), start, None
        for turn in range(told.max_rounds):
            guesses = guess_labels(fitted.predict_logits(unlabelled), told.threshold)
            num_sure, num_positive = int((~np.isnan(guesses)).sum()), int((guesses == 1).sum())
            print(f"fixmatch round {turn + 1}: sure of {num_sure} of {len(guesses)} pictures, {num_positive} positive")
            if num_sure == 0:
                return start
            if before is not None and np.array_equal(guesses, before, equal_nan=True):
                break
            rows = fixmatch_rows(labelled, strong, guesses, unlabelled_weight=told.unlabelled_weight)
            fitted, before = prior.continue_on(rows, usable_valid(task)), guesses
        return fitted


def check_semi_supervised(learner: Learner) -> None:
    """Refuse a learner that FixMatch cannot refit.

    Raises:
        BadParamsError: it is none for pictures, or its head cannot be trained on.
    """
    has_scores_only = isinstance(learner, ImageProbe) and learner.options.head not in ("logistic", "rbf")
    if not isinstance(learner, (ImageProbe, ImageClassifier)) or has_scores_only:
        raise BadParamsError(
            f"Learner '{LEARNERS.name_of(type(learner))}' cannot be refitted on guessed labels.",
            repair="With fixmatch choose image_classifier, or image_probe with head 'logistic' or 'rbf'.",
        )


def _of_one_strength(prior: Learner, start: Learner) -> Learner:
    """The prior with the supervised learner's L2 penalty: copies of a row in two inner folds would choose badly."""
    if not isinstance(prior, ImageProbe):
        return prior
    fixed = copy.copy(prior)
    fixed.options = replace(prior.options, strength=float(start.strength_))
    return fixed
