"""SimCLR: its loss by plain loops, what it reads, what it moves, and that a saved learner is complete."""

from functools import partial

import numpy as np
import pytest
import torch
from image_samples import image_samples
from tiny_image_backbone import TinyImageBackbone

from core.data.samples import concatenate
from core.errors import BadInputError, BadParamsError
from core.images.image import images_of
from core.learners import LEARNERS, load_learner, save_learner
from core.learners.contrastive_loss import nt_xent
from core.learners.contrastive_options import ContrastiveOptions
from core.learners.contrastive_training import train_contrastive
from core.learners.image_tuning_options import JitterOptions
from core.learners.strong_views import StrongOptions, strong_images
from core.params import parse_section
from core.transfers.base import TransferTask
from core.transfers.self_supervised import SelfSupervised

QUICK = {"num_views": 2, "training": {"epochs": 1, "batch_size": 16, "learning_rate": 0.01, "trackers": ()}}
PROBE = {
    "backbone": "mobilenetv3_small_050",
    "scratch_seed": 0,
    "stages": (2, 3),
    "views": "none",
    "precision": "fp32",
    "head": "ridge",
    "strength": 10.0,
}


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("CROSSDOMAIN_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def sides():
    return image_samples(20, seed=1, domain="line_b")[0], image_samples(24, seed=2)[0]


def make_task(source, target, **options):
    return TransferTask(source, target, None, partial(LEARNERS["image_probe"], PROBE | options, seed=0))


def test_nt_xent_is_the_formula_by_plain_loops():
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(5, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    views = np.concatenate([first.numpy(), second.numpy()])
    losses = []
    for i in range(10):
        exponentials = {}
        for k in range(10):
            cosine = views[i] @ views[k] / np.linalg.norm(views[i]) / np.linalg.norm(views[k])
            exponentials[k] = np.exp(cosine / 0.3)
        others = sum(value for k, value in exponentials.items() if k != i)
        losses.append(-np.log(exponentials[(i + 5) % 10] / others))
    assert float(nt_xent(first, second, temperature=0.3)) == pytest.approx(np.mean(losses), abs=1e-12)


def test_strong_images_depend_on_picture_number_and_seed_alone():
    images = images_of(image_samples(6, seed=3)[0])

    def digests(rows, **told):
        return [image.digest for image in strong_images([images[row] for row in rows], StrongOptions(), **told)]

    first = digests(range(6), number=0, seed=0)
    assert digests(reversed(range(6)), number=0, seed=0) == first[::-1]
    assert not set(first) & {*digests(range(6), number=1, seed=0), *digests(range(6), number=0, seed=1)}


def test_contrastive_training_moves_the_told_stages_alone_and_lowers_the_loss():
    backbone, before = TinyImageBackbone(), TinyImageBackbone().state_dict()
    options = parse_section(
        ContrastiveOptions,
        {"num_stages": 1, "num_views": 3, "training": QUICK["training"] | {"epochs": 30, "schedule": "constant"}},
        where="test",
    )
    images = images_of(image_samples(32, size=16, seed=4)[0])
    mild = StrongOptions(smallest_area=0.9, blur_probability=0.0, views="none", jitter=JitterOptions())
    result = train_contrastive(backbone, images, options, mild, stop=3, seed=0)
    after = backbone.state_dict()
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert moved and all(name.startswith("layers.2.") for name in moved)
    assert not any("running" in name for name in moved)
    assert result.history[-1]["loss"] < 0.9 * result.history[0]["loss"]


def test_contrastive_training_of_one_picture_is_refused():
    images = images_of(image_samples(2, size=16)[0])[:1] * 3
    with pytest.raises(BadInputError, match="distinct"):
        train_contrastive(TinyImageBackbone(), images, ContrastiveOptions(), StrongOptions(), stop=4, seed=0)


def test_transfer_never_reads_a_target_label_before_the_head(sides, tmp_path):
    """Same folder name and same bytes whatever the labels are: none, all, or turned around."""
    source, target = sides
    written = []
    for number, labels in enumerate((target.labels * np.nan, target.labels, 1.0 - target.labels)):
        folder = tmp_path / str(number)
        SelfSupervised(QUICK, folder=folder).fit(make_task(source, target.with_labels(labels)))
        (made,) = folder.iterdir()
        written.append((made.name, (made / "model.safetensors").read_bytes()))
    assert written[0] == written[1] == written[2]


def test_transfer_without_target_labels_scores_as_the_source_learner_on_the_adapted_backbone(sides, tmp_path):
    source, target = sides
    task = make_task(source, target.with_labels(target.labels * np.nan))
    fitted = SelfSupervised(QUICK, folder=tmp_path / "made").fit(task)
    (folder,) = (tmp_path / "made").iterdir()
    adapted = PROBE | {"backbone": str(folder), "scratch_seed": None}
    expected = LEARNERS["image_probe"](adapted, seed=0).fit(source).predict_logits(target)
    np.testing.assert_array_equal(fitted.predict_logits(target), expected)
    plain = LEARNERS["image_probe"](PROBE, seed=0).fit(source).predict_logits(target)
    assert np.abs(plain - expected).max() > 1e-3


def test_saved_learner_holds_the_adapted_weights_itself(sides, tmp_path):
    source, target = sides
    fitted = SelfSupervised(QUICK, folder=tmp_path / "made").fit(make_task(source, target))
    save_learner(fitted, tmp_path / "learner")
    (folder,) = (tmp_path / "made").iterdir()
    for path in folder.iterdir():
        path.unlink()
    loaded = load_learner(tmp_path / "learner")
    np.testing.assert_allclose(loaded.predict_logits(target), fitted.predict_logits(target), atol=1e-6)
    suffixes = {path.suffix for path in (tmp_path / "learner").rglob("*") if path.is_file()}
    assert suffixes == {".json", ".safetensors"}


def test_backbone_is_made_once_for_the_same_pictures(sides, tmp_path):
    task = make_task(*sides)
    SelfSupervised(QUICK, folder=tmp_path / "made").fit(task)
    (folder,) = (tmp_path / "made").iterdir()
    written = (folder / "pretraining.json").stat().st_mtime_ns
    SelfSupervised(QUICK, folder=tmp_path / "made").fit(task)
    assert (folder / "pretraining.json").stat().st_mtime_ns == written
    assert len(list((tmp_path / "made").iterdir())) == 1


def test_half_of_the_pictures_are_of_each_side_where_both_have_enough(sides, tmp_path, monkeypatch):
    from core.learners import contrastive_training

    read = []
    real = contrastive_training.train_contrastive

    def spy(backbone, images, *rest, **told):
        read.extend(image.digest for image in images)
        return real(backbone, images, *rest, **told)

    monkeypatch.setattr(contrastive_training, "train_contrastive", spy)
    SelfSupervised(QUICK | {"max_pictures": 10}, folder=tmp_path / "made").fit(make_task(*sides))
    of_side = [{image.digest for image in images_of(side)} for side in sides]
    assert [len(side & set(read)) for side in of_side] == [5, 5] and len(read) == 10
    assert {image.digest for image in images_of(concatenate(list(sides)))} >= set(read)


@pytest.mark.parametrize("name", ["surface_cues", "image_classifier"])
def test_learner_without_a_pretrained_backbone_is_refused(name, sides):
    options = {"strategy": "scratch"} if name == "image_classifier" else {}
    task = TransferTask(*sides, None, partial(LEARNERS[name], options))
    with pytest.raises(BadParamsError, match="no pretrained image backbone"):
        SelfSupervised(QUICK).fit(task)


def test_another_transfer_fits_the_learner_where_it_is_told(sides, tmp_path):
    source, target = sides
    task = make_task(source, target, head="logistic")
    fitted = SelfSupervised(QUICK, then="continued_training", folder=tmp_path / "made").fit(task)
    (folder,) = (tmp_path / "made").iterdir()
    adapted = PROBE | {"backbone": str(folder), "scratch_seed": None, "head": "logistic"}
    prior = LEARNERS["image_probe"](adapted, seed=0).fit_prior(source, target)
    np.testing.assert_array_equal(fitted.predict_logits(target), prior.continue_on(target).predict_logits(target))


def test_transfer_without_a_source_adapts_to_the_target_alone(sides, tmp_path):
    source, target = sides
    none = source.take(np.array([], dtype=int))
    fitted = SelfSupervised(QUICK, folder=tmp_path / "made").fit(make_task(none, target))
    assert np.isfinite(fitted.predict_logits(target)).all()
