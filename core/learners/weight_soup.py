"""Fine-tuned copies of one image model, their weights averaged: an ensemble that costs one model when it scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.images.image import images_of
from core.learners.base import LEARNERS
from core.learners.held_out_loss import mean_log_loss
from core.learners.image_classifier import ImageClassifier, ImageClassifierOptions
from core.learners.inner_folds import inner_folds
from core.params import STRICT

if TYPE_CHECKING:
    from torch import Tensor

SOUP = "weight_soup.json"


@dataclass(frozen=True, config=STRICT)
class WeightSoupOptions(ImageClassifierOptions):
    """Those of image_classifier, and: num_members fine-tuned from one start, each with a seed of its own.

    learning_rate_factors: of the told learning rate, one a member, from the first again where there are more members.
    start_epochs: of the common start, where no source model is one; without it the members' heads have nothing in
    common. soup: `greedy` keeps the members that help on held-out rows, `uniform` takes all. num_folds: without
    validation rows one of so many parts of the training rows is held out for `greedy`.
    """

    num_members: int = Field(default=4, ge=1)
    learning_rate_factors: tuple[float, ...] = Field(default=(1.0, 0.5, 2.0), min_length=1)
    start_epochs: int = Field(default=2, ge=1)
    soup: Literal["greedy", "uniform"] = "greedy"
    num_folds: int = Field(default=5, ge=2)


@LEARNERS.register("weight_soup")
class WeightSoup(ImageClassifier):
    """Fitted state as of image_classifier, and `members_` (in the soup), `losses_` (held-out, a member; may be empty).

    What is averaged are the tensors that the strategy moves, and the batch statistics. `history_` is the first
    ingredient's.
    Source: Wortsman et al. 2022, "Model soups", table 1 (uniform, greedy) and recipe 1.
    """

    Options = WeightSoupOptions

    def save_state(self, folder: Path) -> None:
        """As image_classifier, and weight_soup.json."""
        super().save_state(folder)
        write_json(folder / SOUP, {"members": self.members_, "losses": self.losses_})

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote.

        Raises:
            MissingArtifactError, OfflineError, VerificationError: as of image_classifier.
        """
        super().load_state(folder)
        told = read_json(folder / SOUP)
        self.members_, self.losses_ = told["members"], told["losses"]

    def _fit(self, labelled: Samples, valid: Samples | None, *, prior: Mapping[str, Tensor] | None, part: str) -> Self:
        train, held = self._hold_out(labelled, valid)
        if prior is None:
            training = replace(self.options.training, epochs=self.options.start_epochs, patience=0)
            start = ImageClassifier(self._plain_options(training=training), seed=self.seed)
            prior = start._fit(train, None, prior=None, part=f"{part}start")._moved_tensors()
        members = [self._member(number, train, valid, prior, part) for number in range(self.options.num_members)]
        states = [state_of(member) for member in members]
        self.shape_ = np.asarray(images_of(labelled)[0].pixels).shape
        self.log_odds_ = members[0].log_odds_  # of the rows, hence of all members

        def held_out_loss(chosen: Sequence[int]) -> float:
            self._put(average_tensors([states[number] for number in chosen]))
            return mean_log_loss(self.predict_logits(held), held.targets, held.weights)

        self.members_, self.losses_ = list(range(len(members))), []
        if held is not None:
            self.losses_ = [held_out_loss([number]) for number in self.members_]
            self.members_ = greedy_soup(self.losses_, held_out_loss)
        self._put(average_tensors([states[number] for number in self.members_]))
        self.history_ = members[self.members_[0]].history_
        return self

    def _hold_out(self, labelled: Samples, valid: Samples | None) -> tuple[Samples, Samples | None]:
        """(training rows, rows that judge soups); the latter None where all members are taken anyway."""
        if self.options.soup == "uniform" or self.options.num_members == 1:
            return labelled, None
        if valid is not None and len(np.unique(valid.labelled().targets)) > 1:
            return labelled, valid.labelled()
        folds = inner_folds(labelled, self.options.num_folds, seed=self.seed)
        return (labelled.take(folds[0][0]), labelled.take(folds[0][1])) if folds else (labelled, None)

    def _member(
        self, number: int, train: Samples, valid: Samples | None, prior: Mapping[str, Tensor], part: str
    ) -> ImageClassifier:
        """One fine-tuned model."""
        factors, training = self.options.learning_rate_factors, self.options.training
        rate = training.learning_rate * factors[number % len(factors)]
        options = self._plain_options(training=replace(training, learning_rate=rate))
        member = ImageClassifier(options, seed=self.seed + 1000 * number)
        return member._fit(train, valid, prior=prior, part=f"{part}member_{number}")

    def _plain_options(self, **changes: Any) -> ImageClassifierOptions:
        """Those of image_classifier alone."""
        told = {field.name: getattr(self.options, field.name) for field in fields(ImageClassifierOptions)}
        return ImageClassifierOptions(**(told | changes))

    def _put(self, tensors: Mapping[str, Tensor]) -> None:
        """The model of these tensors."""
        self._prepare(self._load_backbone(self.options.backbone), tensors)


def greedy_soup(losses: Sequence[float], loss_of: Callable[[Sequence[int]], float]) -> list[int]:
    """Numbers of the members in the soup, the best first: from the best on, each that does not make it worse.

    losses: held-out, of each member alone; loss_of: of the average of several.
    Source: Wortsman et al. 2022, "Model soups", recipe 1, with the log loss for the accuracy.
    """
    order = sorted(range(len(losses)), key=lambda number: losses[number])
    chosen, lowest = order[:1], losses[order[0]]
    for number in order[1:]:
        loss = loss_of([*chosen, number])
        if loss <= lowest:
            chosen, lowest = [*chosen, number], loss
    return chosen


def average_tensors(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each tensor, in double precision and back; of counts, the first state's.

    Source: Wortsman et al. 2022, "Model soups", table 1, uniform soup.
    """
    import torch

    found = {}
    for name, first in states[0].items():
        if first.is_floating_point():
            mean = torch.stack([state[name].double() for state in states]).mean(dim=0)
            found[name] = mean.to(first.dtype).contiguous()
        else:
            found[name] = first.clone()
    return found


def state_of(member: ImageClassifier) -> dict[str, Tensor]:
    """Copies of what a fine-tuned model has of its own: the parameters that moved, and all batch statistics."""
    from core.learners.image_model import statistics_of

    named = dict(member.model_.named_parameters())
    moved = {name: named[name].detach().cpu().clone() for name in sorted(member.moved_)}
    return {**moved, **statistics_of(member.model_)}
