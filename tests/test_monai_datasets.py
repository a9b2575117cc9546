"""MONAI's datasets and metrics on Samples: what an item is, what is cached, and figures equal to this project's."""

import numpy as np
import pytest
import torch
from image_samples import image_samples

from core.errors import BadInputError, BadParamsError
from core.evaluation.metrics import METRICS
from core.images.image import images_of

pytest.importorskip("monai")

from monai.data import CacheDataset, DataLoader, PersistentDataset
from monai.transforms import Lambdad, ScaleIntensityd, Transform

from verticals.chest_xray.medical.datasets import evaluation_transforms, monai_dataset, training_transforms
from verticals.chest_xray.medical.metrics import monai_metrics


class Counted(Transform):
    """How often a deterministic transform is run."""

    calls = 0

    def __call__(self, data):
        type(self).calls += 1
        return data


@pytest.fixture
def samples():
    found = image_samples(6, size=16, seed=1)[0]
    labels = found.labels.copy()
    labels[2] = np.nan
    return found.with_labels(labels)


@pytest.mark.parametrize("is_on_disk", [False, True])
def test_dataset_item_is_the_row_scaled_to_its_own_range(is_on_disk, samples, tmp_path):
    dataset = monai_dataset(samples, tmp_path / "cache" if is_on_disk else None)
    assert isinstance(dataset, PersistentDataset if is_on_disk else CacheDataset) and len(dataset) == 6
    for _ in range(2):  # computed, then read
        for row, image in enumerate(images_of(samples)):
            item, pixels = dataset[row], image.pixels[:, :, 0].astype(float)
            expected = (pixels - pixels.min()) / (pixels.max() - pixels.min())
            assert item["image"].shape == (1, 16, 16) and item["image"].dtype == torch.float32
            np.testing.assert_allclose(np.asarray(item["image"])[0], expected, atol=1e-5)
            assert item["name"] == samples.sample_ids[row] and item["group"] == samples.groups[row]
            assert np.isnan(item["label"]) if row == 2 else float(item["label"]) == samples.labels[row]


def test_dataset_feeds_a_dataloader(samples):
    batch = next(iter(DataLoader(monai_dataset(samples), batch_size=4)))
    assert batch["image"].shape == (4, 1, 16, 16) and batch["label"].shape == (4,)


def test_persistent_dataset_computes_once_and_again_for_another_label_or_transform(samples, tmp_path):
    def run(rows, chain):
        Counted.calls = 0
        list(monai_dataset(rows, tmp_path, chain))
        return Counted.calls

    chain = [Counted(), *evaluation_transforms().transforms]
    assert run(samples, chain) == 6
    assert run(samples, chain) == 0
    assert run(samples.with_labels(1 - samples.labels), chain) == 5  # the unlabelled row is as it was
    chain[2] = ScaleIntensityd("image", minv=-1.0, maxv=1.0)
    assert run(samples, chain) == 6


def test_cache_file_that_holds_code_is_not_run(samples, tmp_path):
    class Evil:
        def __reduce__(self):
            return (eval, (f"__import__('pathlib').Path({str(tmp_path / 'ran')!r}).touch()",))

    list(monai_dataset(samples, tmp_path / "cache"))
    files = sorted((tmp_path / "cache").glob("*.pt"))
    assert len(files) == 6
    for file in files:
        torch.save({"image": Evil()}, file)
    with pytest.warns(UserWarning, match="Corrupt cache file"):
        found = list(monai_dataset(samples, tmp_path / "cache"))
    assert len(found) == 6  # computed anew
    assert not (tmp_path / "ran").exists()


def test_cache_folder_inside_artifacts_is_refused(samples, tmp_path):
    with pytest.raises(BadParamsError, match="pickles"):
        monai_dataset(samples, tmp_path / "artifacts" / "cache")


def test_training_transforms_follow_the_seed_and_leave_the_cache_alone(samples, tmp_path):
    def draw(seed):
        dataset = monai_dataset(samples, tmp_path, training_transforms(seed=seed).transforms)
        dataset.transform.set_random_state(seed=seed)
        return np.stack([np.asarray(dataset[row]["image"]) for row in range(6)])

    first, again, other = draw(1), draw(1), draw(2)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    still = np.stack([np.asarray(item["image"]) for item in monai_dataset(samples)])
    assert first.shape == still.shape and 0.01 < np.abs(first - still).mean() < 0.3


def test_dataset_takes_transforms_of_the_users_own(samples):
    chain = [Lambdad("image", lambda image: torch.as_tensor(image[:4].astype(np.float32)))]
    assert monai_dataset(samples, None, chain)[0]["image"].shape == (4, 16, 1)


@pytest.mark.parametrize("seed", range(4))
def test_metrics_of_monai_equal_the_projects(seed):
    generator = np.random.default_rng(seed)
    labels = generator.permutation([0, 1, *generator.integers(0, 2, 58)])
    positive = np.clip(0.3 * labels + generator.random(60) * 0.7, 0, 1).round(2)  # with ties
    found = monai_metrics(labels, positive, threshold=np.nextafter(0.5, 1))  # argmax gives a tie to class 0
    probability = np.column_stack([1 - positive, positive])
    for name in ("auc", "accuracy", "balanced_accuracy", "f1"):
        assert found[name] == pytest.approx(METRICS[name].function(labels, probability, 1), abs=1e-6), name


def test_metrics_of_the_confusion_matrix_equal_counts_at_another_threshold():
    generator = np.random.default_rng(7)
    labels, positive = generator.integers(0, 2, 80), generator.random(80)
    counts = {(t, c): 0 for t in (0, 1) for c in (0, 1)}
    for label, score in zip(labels, positive, strict=True):
        counts[int(label), int(score >= 0.3)] += 1
    found = monai_metrics(labels, positive, threshold=0.3)
    assert found["sensitivity"] == pytest.approx(counts[1, 1] / (counts[1, 1] + counts[1, 0]))
    assert found["specificity"] == pytest.approx(counts[0, 0] / (counts[0, 0] + counts[0, 1]))
    assert found["precision"] == pytest.approx(counts[1, 1] / (counts[1, 1] + counts[0, 1]))
    assert found["negative_predictive_value"] == pytest.approx(counts[0, 0] / (counts[0, 0] + counts[1, 0]))


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, np.nan], [0, 1]], ids=["one class", "missing", "too few"])
def test_metrics_of_labels_that_do_not_fit_are_refused(labels):
    with pytest.raises(BadInputError, match="both"):
        monai_metrics(np.array(labels), np.array([0.1, 0.2, 0.3]))
