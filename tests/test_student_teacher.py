"""The student's loss and map against the formula, and that it learns good pictures."""

import numpy as np
import pytest
import torch
from one_class_cases import SMALL_OPTIONS, fitted, pictures, share_of_peaks_inside

from core.explain.heat_maps import enlarge
from core.learners import LEARNERS
from core.learners.student_network import discrepancy, make_student, stage_discrepancies, train_student


@pytest.mark.parametrize("comparison", ["squared", "unit"])
def test_stage_discrepancies_equal_plain_loops(comparison):
    generator = torch.Generator().manual_seed(0)
    teacher, student = (torch.randn(2, 3, 4, 4, generator=generator) for _ in range(2))
    found = stage_discrepancies([teacher], [student], comparison)[0].numpy()
    for picture in range(2):
        for row in range(4):
            for column in range(4):
                t, s = teacher[picture, :, row, column].numpy(), student[picture, :, row, column].numpy()
                apart = t / np.linalg.norm(t) - s / np.linalg.norm(s)
                expected = 0.5 * np.sum(apart**2) if comparison == "unit" else np.sum((t - s) ** 2) / 3
                np.testing.assert_allclose(found[picture, row, column], expected, rtol=1e-4)


def test_discrepancy_is_the_product_or_the_sum_of_the_stages():
    generator = torch.Generator().manual_seed(0)
    shapes = [(1, 3, 4, 4), (1, 5, 4, 4)]
    teacher = [torch.randn(*shape, generator=generator) for shape in shapes]
    student = [torch.randn(*shape, generator=generator) for shape in shapes]
    first, second = stage_discrepancies(teacher, student, "unit")
    torch.testing.assert_close(discrepancy(teacher, student, "unit"), first * second)
    first, second = stage_discrepancies(teacher, student, "squared")
    torch.testing.assert_close(discrepancy(teacher, student, "squared"), first + second)


def test_student_shapes_follow_the_halvings():
    maps = make_student([7, 5], [1, 3], width=8, seed=0)(torch.zeros(2, 3, 32, 32))
    assert [tuple(one.shape) for one in maps] == [(2, 7, 16, 16), (2, 5, 4, 4)]


def test_train_student_comes_nearer_to_the_teacher():
    pixels = np.random.default_rng(0).integers(0, 255, (8, 16, 16, 3)).astype(np.uint8)
    target = make_student([4], [2], width=8, seed=5)

    def normalise(part):
        return torch.as_tensor(part).permute(0, 3, 1, 2).float() / 255 - 0.5

    with torch.no_grad():
        wanted = target(normalise(pixels))
    student = make_student([4], [2], width=8, seed=0)
    before = float(discrepancy(wanted, student(normalise(pixels)), "squared").mean().detach())
    told = {"comparison": "squared", "epochs": 20, "batch_size": 4, "learning_rate": 0.01, "seed": 0}
    train_student(student, normalise, pixels, [one.numpy() for one in wanted], **told)
    assert float(discrepancy(wanted, student(normalise(pixels)), "squared").mean().detach()) < 0.3 * before


def test_student_teacher_map_peaks_in_the_planted_defect():
    _, test, masks = pictures()
    maps = enlarge(fitted("student_teacher").heat_maps(test), masks.shape[1])
    assert share_of_peaks_inside(maps, test, masks) > 0.7


def test_student_teacher_of_unit_vectors_gives_finite_maps():
    train, test, _ = pictures()
    options = {**SMALL_OPTIONS["student_teacher"], "comparison": "unit", "epochs": 2}
    maps = LEARNERS["student_teacher"](options, seed=0).fit(train).heat_maps(test)
    assert np.isfinite(maps).all() and maps.min() >= 0 and maps.max() <= 4.0
