"""Oracles of every alignment loss by plain loops, and the contract of the registry."""

import math

import numpy as np
import pytest
import torch

from core.alignments import ALIGNMENTS, AlignmentViews
from core.alignments.cdan import multilinear_map
from core.alignments.domain_discriminator import reversal_strength, reverse_gradient
from core.errors import BadParamsError

NUM_FEATURES, NUM_CLASSES = 3, 2


def make_views(*, seed=0, shift=1.0, num_target=7, num_classes=NUM_CLASSES, scale=1.0):
    random = np.random.default_rng(seed)

    def leaf(values):
        return torch.tensor(values, dtype=torch.float64, requires_grad=True)

    return AlignmentViews(
        leaf(random.normal(size=(6, NUM_FEATURES))),
        leaf(2 * random.normal(size=(num_target, NUM_FEATURES)) + shift),
        leaf(scale * random.normal(size=(6, num_classes))),
        leaf(scale * random.normal(size=(num_target, num_classes)) + 0.3),
        torch.tensor([0, 1, 0, 1, 0, 1]),
    )


def make_loss(name, options=None, *, num_classes=NUM_CLASSES):
    loss = ALIGNMENTS[name](options)
    loss.prepare(NUM_FEATURES, num_classes, seed=0)
    return loss.double()


def arrays_of(views):
    return [tensor.detach().numpy() for tensor in vars(views).values()]


def softmax(row, temperature=1.0):
    powers = [math.exp(value / temperature) for value in row]
    return [power / sum(powers) for power in powers]


def entropy_of(probability):
    return -sum(p * math.log(p) for p in probability)


@pytest.mark.parametrize("name", list(ALIGNMENTS))
def test_alignment_module_is_named_like_its_entry(name):
    assert ALIGNMENTS[name].__module__ == f"core.alignments.{name}"


@pytest.mark.parametrize("name", list(ALIGNMENTS))
def test_alignment_gives_a_scalar_whose_gradient_reaches_the_target(name):
    views = make_views(scale=6.0)  # sure enough for pseudo-labels
    loss = make_loss(name)(views)
    assert loss.shape == () and torch.isfinite(loss)
    loss.backward()
    gradients = [tensor.grad for tensor in (views.target_features, views.target_logits) if tensor.grad is not None]
    assert any(gradient.abs().max() > 0 for gradient in gradients)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("name", list(ALIGNMENTS))
def test_alignment_with_an_unknown_option_names_it(name):
    with pytest.raises(BadParamsError, match="no_such_option"):
        ALIGNMENTS[name]({"no_such_option": 1})


@pytest.mark.parametrize("name", ["coral", "mmd"])
def test_distance_of_equal_domains_is_zero_and_grows_with_the_shift(name):
    views = make_views()
    same = AlignmentViews(
        views.source_features, views.source_features, views.source_logits, views.source_logits, views.source_labels
    )
    loss = make_loss(name)
    assert abs(loss(same).item()) < 1e-12
    assert loss(views).item() > 1e-3


def test_coral_equals_the_formula_by_loops():
    views = make_views()
    source, target = arrays_of(views)[:2]

    def covariance(rows):
        means = [sum(rows[:, d]) / len(rows) for d in range(NUM_FEATURES)]
        return [
            [sum((row[a] - means[a]) * (row[b] - means[b]) for row in rows) / (len(rows) - 1) for b in range(3)]
            for a in range(3)
        ]

    of_source, of_target = covariance(source), covariance(target)
    expected = sum((of_source[a][b] - of_target[a][b]) ** 2 for a in range(3) for b in range(3)) / (4 * 3**2)
    assert make_loss("coral")(views).item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("is_unbiased", [False, True])
def test_mmd_equals_the_formula_by_loops(is_unbiased):
    multipliers = (0.5, 1.0, 3.0)
    views = make_views(num_target=8)
    source, target = arrays_of(views)[:2]
    rows = [*source, *target]

    def distance(a, b):
        return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))

    pairs = sorted(distance(rows[i], rows[j]) for i in range(len(rows)) for j in range(i))
    median = pairs[(len(pairs) - 1) // 2]

    def kernel(a, b):
        return sum(math.exp(-distance(a, b) / (m * median)) for m in multipliers) / len(multipliers)

    def within(part):
        kernels = [kernel(a, b) for i, a in enumerate(part) for j, b in enumerate(part) if i != j or not is_unbiased]
        return sum(kernels) / len(kernels)

    between = sum(kernel(a, b) for a in source for b in target) / (len(source) * len(target))
    expected = within(source) + within(target) - 2 * between
    loss = make_loss("mmd", {"bandwidth_multipliers": multipliers, "is_unbiased": is_unbiased})
    assert loss(views).item() == pytest.approx(expected, rel=1e-9)


def test_mmd_unbiased_of_one_distribution_averages_to_zero():
    random = torch.Generator().manual_seed(0)
    loss = make_loss("mmd", {"is_unbiased": True})
    values = []
    for _ in range(200):
        rows = torch.randn(24, NUM_FEATURES, generator=random, dtype=torch.float64)
        values.append(loss(AlignmentViews(rows[:12], rows[12:], rows, rows, rows)).item())
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0


def test_entropy_equals_the_formula_by_loops():
    views = make_views(num_classes=4)
    expected = np.mean([entropy_of(softmax(row)) for row in arrays_of(views)[3]])
    assert make_loss("entropy")(views).item() == pytest.approx(expected)


def test_information_maximisation_equals_the_formula_by_loops():
    views = make_views(num_classes=4)
    probability = [softmax(row) for row in arrays_of(views)[3]]
    mean = [sum(row[c] for row in probability) / len(probability) for c in range(4)]
    expected = np.mean([entropy_of(row) for row in probability]) - entropy_of(mean)
    assert make_loss("information_maximisation")(views).item() == pytest.approx(expected)


def test_mcc_equals_the_formula_by_loops():
    views = make_views(num_classes=3, scale=3.0)
    rows = [softmax(row, 2.5) for row in arrays_of(views)[3]]
    certainty = [1 + math.exp(-entropy_of(row)) for row in rows]
    weights = [len(rows) * value / sum(certainty) for value in certainty]
    confusion = [
        [sum(w * row[a] * row[b] for w, row in zip(weights, rows, strict=True)) for b in range(3)] for a in range(3)
    ]
    expected = sum(confusion[a][b] / sum(confusion[a]) for a in range(3) for b in range(3) if a != b) / 3
    assert make_loss("mcc")(views).item() == pytest.approx(expected)


def test_pseudo_label_equals_the_formula_by_loops():
    views = make_views(num_target=12, scale=2.0)
    best = [max(softmax(row)) for row in arrays_of(views)[3]]
    expected = sum(-math.log(p) for p in best if p >= 0.8) / len(best)
    assert 0 < sum(p >= 0.8 for p in best) < len(best)
    assert make_loss("pseudo_label", {"threshold": 0.8})(views).item() == pytest.approx(expected)


def test_pseudo_label_without_a_sure_row_is_zero():
    views = make_views(scale=0.1)
    loss = make_loss("pseudo_label")(views)
    loss.backward()
    assert loss.item() == 0 and views.target_logits.grad.abs().max() == 0


def discriminate(loss, row):
    """Log-odds of the discriminator by loops."""
    first, _, last = loss.discriminator
    weights, offsets = first.weight.detach().numpy(), first.bias.detach().numpy()
    hidden = [
        max(0.0, sum(w * x for w, x in zip(line, row, strict=True)) + b)
        for line, b in zip(weights, offsets, strict=True)
    ]
    return sum(w * h for w, h in zip(last.weight.detach().numpy()[0], hidden, strict=True)) + last.bias.item()


def mean_loss(rows, loss, sign, weights):
    return sum(
        w * math.log1p(math.exp(-sign * discriminate(loss, row))) for w, row in zip(weights, rows, strict=True)
    ) / len(rows)


def test_dann_equals_the_formula_by_loops():
    views, loss = make_views(), make_loss("dann")
    source, target = arrays_of(views)[:2]
    expected = (mean_loss(source, loss, 1, [1] * 6) + mean_loss(target, loss, -1, [1] * 7)) / 2
    assert loss(views).item() == pytest.approx(expected)


@pytest.mark.parametrize("use_entropy", [False, True])
def test_cdan_equals_the_formula_by_loops(use_entropy):
    views, loss = make_views(scale=2.0), make_loss("cdan", {"use_entropy": use_entropy})
    parts = []
    arrays = arrays_of(views)
    for features, logits, sign in ((arrays[0], arrays[2], 1), (arrays[1], arrays[3], -1)):
        probability = [softmax(row) for row in logits]
        products = [[p * x for p in row for x in feature] for row, feature in zip(probability, features, strict=True)]
        certainty = [1 + math.exp(-entropy_of(row)) if use_entropy else 1.0 for row in probability]
        weights = [len(certainty) * value / sum(certainty) for value in certainty]
        parts.append(mean_loss(products, loss, sign, weights))
    assert loss(views).item() == pytest.approx(sum(parts) / 2)


def test_multilinear_map_is_the_outer_product():
    product = multilinear_map(torch.tensor([[2.0, 3.0]]), torch.tensor([[0.25, 0.75]]))
    assert product.tolist() == [[0.5, 0.75, 1.5, 2.25]]


def test_cdan_moves_predictions_only_where_told():
    for use, has_gradient in ((False, False), (True, True)):
        views = make_views()
        make_loss("cdan", {"use_prediction_gradient": use})(views).backward()
        assert (views.target_logits.grad is not None) == has_gradient


def test_reversed_gradient_turns_the_features_but_not_the_discriminator():
    gradients = []
    for strength in (1.0, -1.0):  # at -1 nothing is turned
        views, loss = make_views(), make_loss("dann")
        loss.strength = strength
        loss(views).backward()
        gradients.append((views.target_features.grad, loss.discriminator[0].weight.grad))
    torch.testing.assert_close(gradients[0][0], -gradients[1][0])
    torch.testing.assert_close(gradients[0][1], gradients[1][1])


def test_reverse_gradient_scales_by_minus_strength():
    features = torch.ones(2, requires_grad=True)
    reverse_gradient(features, 0.5).sum().backward()
    assert features.grad.tolist() == [-0.5, -0.5]


def test_reversal_strength_rises_from_zero_to_the_highest():
    assert reversal_strength(0.0, 2.0) == 0.0
    assert reversal_strength(1.0, 2.0) == pytest.approx(2.0, abs=1e-3)
    assert reversal_strength(0.2, 1.0) == pytest.approx(math.tanh(1.0))


def test_discriminator_does_not_move_the_random_state():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    make_loss("dann")
    assert torch.equal(torch.rand(1), expected)
