"""Test-time adaptation moves the statistics, or the scales and offsets, of batch normalisation and nothing else."""

import numpy as np
import pytest
import torch
from torch import nn

from core.alignments.entropy import row_entropy
from core.alignments.test_time import adapt_batch_norm, minimise_entropy
from core.errors import BadParamsError


def make_model(*, affine=True):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.BatchNorm2d(4, affine=affine),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 2),
        )
        nn.init.normal_(model[-1].weight, std=2.0)
    return model.eval()


def make_batches(num_batches=3, *, shift=2.0, size=8):
    generator = torch.Generator().manual_seed(1)
    return [shift + 3 * torch.randn(size, 3, 6, 6, generator=generator) for _ in range(num_batches)]


def moved(before, after):
    return {name for name, tensor in after.state_dict().items() if not torch.equal(before.state_dict()[name], tensor)}


def test_adapt_batch_norm_moves_the_running_statistics_alone():
    model = make_model()
    adapted = adapt_batch_norm(model, make_batches())
    assert moved(model, adapted) == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    assert moved(model, make_model()) == set()  # the model given is as it was
    assert not any(module.training for module in adapted.modules())
    assert adapted[1].momentum == 0.1


def test_adapt_batch_norm_equals_the_batches_statistics_by_loops():
    model, batches = make_model(), make_batches()
    adapted = adapt_batch_norm(model, batches)
    maps = [model[0](batch).detach().numpy() for batch in batches]
    for channel in range(4):
        means = [np.mean([value for value in m[:, channel].ravel()]) for m in maps]
        variances = [np.var(m[:, channel].ravel(), ddof=1) for m in maps]
        assert adapted[1].running_mean[channel].item() == pytest.approx(np.mean(means), rel=1e-4, abs=1e-5)
        assert adapted[1].running_var[channel].item() == pytest.approx(np.mean(variances), rel=1e-4)


def test_adapt_batch_norm_with_a_prior_mixes_by_rows():
    model, batches = make_model(), make_batches()  # 24 rows
    forgetting, mixed = adapt_batch_norm(model, batches), adapt_batch_norm(model, batches, prior_num_rows=72.0)
    expected = 0.25 * forgetting[1].running_mean + 0.75 * model[1].running_mean
    torch.testing.assert_close(mixed[1].running_mean, expected)
    expected = 0.25 * forgetting[1].running_var + 0.75 * model[1].running_var
    torch.testing.assert_close(mixed[1].running_var, expected)


def test_minimise_entropy_moves_batch_normalisation_alone_and_lowers_the_entropy():
    model, batches = make_model(), make_batches()
    start = adapt_batch_norm(model, batches)
    adapted = minimise_entropy(model, batches, num_epochs=5, learning_rate=1e-2)
    assert moved(start, adapted) <= {"1.weight", "1.bias", "1.running_mean", "1.running_var"}
    assert {"1.weight", "1.bias"} <= moved(start, adapted)
    torch.testing.assert_close(adapted[1].running_mean, start[1].running_mean)
    assert moved(model, make_model()) == set()
    assert all(parameter.requires_grad for parameter in adapted.parameters())
    assert all(parameter.grad is None for parameter in adapted.parameters())
    rows = torch.cat(batches)
    with torch.no_grad():
        assert row_entropy(adapted(rows)).mean() < row_entropy(start(rows)).mean()


def test_minimise_entropy_without_scales_is_refused():
    with pytest.raises(BadParamsError, match="scale"):
        minimise_entropy(make_model(affine=False), make_batches())


@pytest.mark.parametrize("adapt", [adapt_batch_norm, minimise_entropy])
def test_adaptation_of_a_model_without_batch_normalisation_is_refused(adapt):
    with pytest.raises(BadParamsError, match="no batch normalisation"):
        adapt(nn.Sequential(nn.Flatten(), nn.Linear(108, 2)), make_batches())


@pytest.mark.parametrize("batches", [[], [torch.zeros(1, 3, 6, 6)]])
def test_adaptation_to_nothing_is_refused(batches):
    with pytest.raises(BadParamsError, match="two rows"):
        adapt_batch_norm(make_model(), batches)
