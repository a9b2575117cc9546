"""Distillation: the loss in numpy, what a student keeps of its teacher, and that it learns a toy problem."""

import numpy as np
import pytest
import torch
from small_defect_model import SIZE_PX, TINY, blob_samples, fit_learner

from core.backbones.image import ImageBackbone
from core.evaluation.metrics import METRICS
from core.images.image import images_of, stack_pixels
from core.pictures.student import Student, distillation_loss, make_student, train_student


@pytest.fixture(scope="module")
def backbone():
    return ImageBackbone.load(TINY["model"], scratch_seed=0)


def score_by(learner, samples):
    """The learner's probability of pictures as pixels; mirror images are looked up by themselves."""
    from dataclasses import replace

    from core.images.image import Image

    def score(pixels):
        inputs = samples.inputs.assign(image=[Image.of_pixels(one) for one in pixels])
        return learner.predict_probability(replace(samples, inputs=inputs))[:, 1]

    return score


def auc(student, samples):
    with torch.inference_mode():
        probability = torch.sigmoid(student(torch.from_numpy(stack_pixels(images_of(samples))))).numpy()
    return METRICS["auc"].function(samples.targets, np.column_stack([1 - probability, probability]), 1)


@pytest.mark.parametrize(("temperature", "share"), [(1.0, 1.0), (3.0, 0.7), (2.0, 0.0)])
def test_loss_equals_the_formula(temperature, share):
    generator = np.random.default_rng(0)
    student, teacher, targets = generator.normal(size=20), generator.normal(size=20) * 3, generator.integers(0, 2, 20)
    expected = 0.0
    for s, t, y in zip(student, teacher, targets, strict=True):
        soft_t = np.exp([0.0, t / temperature]) / np.exp([0.0, t / temperature]).sum()  # softmax of two classes
        soft_s = np.exp([0.0, s / temperature]) / np.exp([0.0, s / temperature]).sum()
        hard_s = np.exp([0.0, s]) / np.exp([0.0, s]).sum()
        expected += share * temperature**2 * -(soft_t * np.log(soft_s)).sum() - (1 - share) * np.log(hard_s[y])
    found = distillation_loss(
        *(torch.tensor(values, dtype=torch.float64) for values in (student, teacher, targets)),
        temperature=temperature,
        teacher_share=share,
    )
    assert float(found) == pytest.approx(expected / 20)


def test_student_learns_from_a_teacher_without_labels(backbone):
    train, valid = blob_samples(80, seed=1)[0], blob_samples(60, seed=2)[0]
    teacher = score_by(fit_learner(num=80), train)
    student = make_student(backbone, SIZE_PX, seed=0)
    before = auc(student, valid)
    labels = np.full(len(train), np.nan)
    told = train_student(student, stack_pixels(images_of(train)), labels, teacher, seconds=30.0, seed=0, max_epochs=6)
    assert told["epochs"] == 6.0
    assert auc(student, valid) > max(0.8, before)


def test_same_seed_teaches_the_same_student(backbone):
    pixels = stack_pixels(images_of(blob_samples(16, seed=1)[0]))
    found = []
    for _ in range(2):
        student = make_student(backbone, SIZE_PX, seed=3)
        train_student(
            student, pixels, np.arange(16) % 2, lambda p: p.mean((1, 2, 3)) / 255, seconds=60, seed=3, max_epochs=1
        )
        found.append(student(torch.from_numpy(pixels)).detach().numpy())
    assert np.array_equal(found[0], found[1]) and found[0].std() > 0


def test_teachers_network_is_not_changed(backbone):
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    student = make_student(backbone, SIZE_PX, seed=0)
    pixels = stack_pixels(images_of(blob_samples(16, seed=1)[0]))
    train_student(student, pixels, np.arange(16) % 2, lambda p: np.full(len(p), 0.5), seconds=60, seed=0, max_epochs=1)
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    for number, step in enumerate(student.steps, start=1):
        own, told = step.state_dict(), backbone.stages()[number - 1].state_dict()
        is_equal = all(torch.equal(value, told[name]) for name, value in own.items())
        assert is_equal == (number < student.read_stages[0])  # the first stages stay, the others learn


def test_large_picture_is_averaged_over_squares(backbone):
    student = Student(backbone, 320)
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 320, 320, 1), dtype=np.uint8))
    assert student.shrink_factor == 2
    expected = pixels[0, :, :, 0].numpy().reshape(160, 2, 160, 2).mean(axis=(1, 3))
    assert np.allclose(student.shrink(pixels)[0, 0].numpy(), expected, atol=1e-4)
    assert sum(p.numel() for p in student.parameters()) < sum(p.numel() for p in backbone.parameters())


def test_descriptors_are_mean_deviation_and_maximum(backbone):
    student = make_student(backbone, SIZE_PX, seed=0)
    planes = torch.rand(2, 1, SIZE_PX, SIZE_PX) * 255
    with torch.inference_mode():
        found = student.describe(planes)
        x = (planes.repeat(1, 3, 1, 1) - backbone.mean) / backbone.std
        maps = backbone.maps(x, student.read_stages)
    expected = []
    for of_stage in maps:
        area = of_stage.flatten(2)
        expected += [area.mean(2), (area.var(2, correction=0) + 1e-4).sqrt(), area.amax(2)]
    assert torch.allclose(found, torch.cat(expected, dim=1), atol=1e-5)
