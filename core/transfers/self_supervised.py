"""The image backbone sees source and target pictures, without labels, before the learner is fitted on it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.artifacts import to_plain
from core.data.feature_cache import cache_root
from core.data.samples import Samples
from core.errors import BadParamsError
from core.images.image import Image, images_of
from core.learners.base import LEARNERS, Learner
from core.learners.contrastive_options import ContrastiveOptions
from core.learners.image_classifier import ImageClassifier
from core.learners.image_probe import ImageProbe
from core.params import parse_section
from core.transfers.base import TRANSFERS, Transfer, TransferTask

if TYPE_CHECKING:
    from core.backbones.image import ImageBackbone


@TRANSFERS.register("self_supervised")
class SelfSupervised(Transfer):
    """SimCLR on all training pictures, labelled or not, then another transfer with the learner on that backbone.

    The backbone is kept in the cache folder, under a name that its pictures, options and seed decide, so that folds
    and draws share it; a saved learner holds a copy of its own. Validation and test pictures are not read.

    Source: Chen et al. 2020, "A simple framework for contrastive learning of visual representations"; on unlabelled
    pictures of the field itself: Azizi et al. 2021, "Big self-supervised models advance medical image classification".
    """

    needs_source = False
    needs_target_labels = False
    learns_unlabelled = True

    def __init__(
        self,
        options: Mapping[str, Any] | None = None,
        *,
        then: str | None = None,
        folder: Path | None = None,
        transfer_options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """options: those of `ContrastiveOptions`. folder: where backbones are kept, instead of the cache folder.

        then: the transfer that fits the learner; None: `target_only` where both classes are labelled in the target,
        else `source_only`. transfer_options: that transfer's own options, by name.

        Raises:
            BadParamsError: an option is unknown, or there is no such transfer.
        """
        if then is not None:
            _ = TRANSFERS[then]
        self.options = parse_section(ContrastiveOptions, options or {}, where="pretraining options")
        self.then, self.folder, self.transfer_options = then, folder, transfer_options or {}

    def fit(self, task: TransferTask) -> Learner:
        """The learner with the adapted backbone, fitted by the other transfer.

        Raises:
            BadParamsError: the learner has no image backbone to adapt, or the other transfer refuses.
            BadInputError: fewer than two distinct pictures.
        """
        kind = task.make_learner()
        check_adaptable(kind)
        folder = self._pretrain(_chosen(task.source, task.target, self.options.max_pictures), kind, task.seed)
        name = self.then or _usual_transfer(task.target)
        then = TRANSFERS[name](**self.transfer_options.get(name, {}))
        return then.fit(replace(task, make_learner=lambda: _with_backbone(task.make_learner(), folder)))

    def _pretrain(self, images: Sequence[Image], kind: Learner, seed: int) -> Path:
        """The folder of the adapted backbone; one that was made of the same is taken as it is."""
        from core.learners.contrastive_training import REPORT, save_backbone, train_contrastive
        from core.learners.strong_views import StrongOptions

        backbone, strong = _load_backbone(kind), StrongOptions()
        stop = max(kind.options.stages) if isinstance(kind, ImageProbe) else backbone.num_stages
        backbone.check_stages([stop])
        training = asdict(self.options.training) | {"log_folder": None, "trackers": None}
        key = {
            "backbone": [backbone.model_name, backbone.weights_id, stop],
            "options": [asdict(self.options) | {"training": training}, asdict(strong)],
            "seed": seed,
            "pictures": sorted(image.digest for image in images),
        }
        digest = hashlib.sha256(json.dumps(to_plain(key)).encode()).hexdigest()[:16]
        folder = (self.folder or cache_root() / "pretrained") / digest
        if not (folder / REPORT).exists():
            result = train_contrastive(backbone, images, self.options, strong, stop=stop, seed=seed)
            told = {**key, "pictures": len(images), "history": result.history}
            save_backbone(backbone, folder, told)
        return folder


def check_adaptable(learner: Learner) -> None:
    """Refuse a learner whose backbone cannot be adapted.

    Raises:
        BadParamsError: it has none, or starts from random weights.
    """
    is_from_scratch = isinstance(learner, ImageClassifier) and learner.options.strategy == "scratch"
    if not isinstance(learner, (ImageProbe, ImageClassifier)) or is_from_scratch:
        raise BadParamsError(
            f"Learner '{LEARNERS.name_of(type(learner))}' has no pretrained image backbone to adapt.",
            repair="With self_supervised choose image_probe, or image_classifier with a strategy other than scratch.",
        )


def _load_backbone(kind: Learner) -> ImageBackbone:
    """A fresh copy, since it is trained in place."""
    from core.backbones.image import ImageBackbone

    told = kind.options
    if isinstance(kind, ImageProbe):
        return ImageBackbone.load(
            told.backbone, sha256=told.backbone_sha256, model=told.model, scratch_seed=told.scratch_seed
        )
    return ImageBackbone.load(told.backbone)


def _with_backbone(learner: Learner, folder: Path) -> Learner:
    """An unfitted learner of the same options with another backbone."""
    changes: dict[str, Any] = {"backbone": str(folder)}
    if isinstance(learner, ImageProbe):
        changes |= {"backbone_sha256": "", "model": "", "scratch_seed": None}
    return type(learner)(replace(learner.options, **changes), seed=learner.seed)


def _chosen(source: Samples, target: Samples, max_pictures: int) -> list[Image]:
    """Distinct pictures, in an order that their content decides; half of each side where both have enough."""
    sides = []
    for side in (source, target):
        images = images_of(side) if len(side) else []
        by_digest = {image.digest: image for image in images if image is not None}
        sides.append([by_digest[digest] for digest in sorted(by_digest)])
    num_source = min(len(sides[0]), max(max_pictures // 2, max_pictures - len(sides[1])))
    chosen = [*sides[0][:num_source], *sides[1][: max_pictures - num_source]]
    return list({image.digest: image for image in chosen}.values())


def _usual_transfer(target: Samples) -> str:
    has_both_classes = len(np.unique(target.labelled().targets)) > 1
    return "target_only" if has_both_classes else "source_only"
