"""The input gate on small drawn chests: planted wrong pictures are caught and named, good ones pass, files hold it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from core.data.samples import Samples
from core.errors import BadParamsError, VerificationError
from core.images.image import Image, images_of
from core.images.wrong_pictures import INVERTED, NOT_A_RADIOGRAPH, TURNED, UPSIDE_DOWN, WRONG_PICTURES, make_wrong
from core.learners.descriptions import describer_of
from core.learners.domain_distance import DomainDistance
from core.learners.input_gate import BLANK, InputGate, _thresholds
from core.learners.scoring_model import ScoringModel

SIZE_PX = 48


def chests(num, *, seed=0, domain="adults", brightness=0.0):
    """`num` drawn chests: two dark lungs, a bright heart to one side, shoulders above, belly below."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE_PX, :SIZE_PX] / SIZE_PX
    images = np.empty(num, dtype=object)
    for picture in range(num):
        shift, wide = generator.normal(0, 0.02, 2), generator.normal(1, 0.05)
        grey = 0.55 + 0.15 * rows + brightness + 0.03 * generator.standard_normal((SIZE_PX, SIZE_PX))
        for centre in (0.3, 0.7):
            lung = ((columns - centre - shift[0]) / (0.14 * wide)) ** 2 + ((rows - 0.45 - shift[1]) / 0.28) ** 2
            grey -= 0.4 * np.exp(-(lung**3))
        heart = ((columns - 0.56 - shift[0]) / 0.12) ** 2 + ((rows - 0.62 - shift[1]) / 0.14) ** 2
        grey += 0.25 * np.exp(-(heart**3))
        grey -= 0.5 * np.exp(-(((rows - 0.02) / 0.1) ** 2)) * (np.abs(columns - 0.5) > 0.2)
        images[picture] = Image.of_pixels(np.clip(grey * 255, 0, 255).astype(np.uint8))
    from image_samples import IMAGE_SCHEMA

    return Samples(
        inputs=pd.DataFrame({"image": images}),
        labels=np.full(num, np.nan),
        sample_ids=np.array([f"{domain}-{row}" for row in range(num)], dtype=object),
        domains=np.full(num, domain, dtype=object),
        weights=np.ones(num),
        groups=np.array([f"{domain}-p{row // 2}" for row in range(num)], dtype=object),
        schema=IMAGE_SCHEMA,
    )


def with_pictures(samples, images):
    column = np.empty(len(samples), dtype=object)
    column[:] = list(images)
    return samples.with_inputs(pd.DataFrame({"image": column}), samples.schema)


class Describer:
    """A learner that tells the means of sixteen blocks."""

    def describe(self, samples):
        pixels = np.stack([image.pixels[:, :, 0] for image in images_of(samples)]).astype(float)
        return pixels.reshape(len(pixels), 4, SIZE_PX // 4, 4, SIZE_PX // 4).mean(axis=(2, 4)).reshape(len(pixels), 16)


def fit_gate(learner=None, error_rate=0.1):
    train = [chests(60, seed=1, domain="children", brightness=0.08), chests(60, seed=2)]
    return InputGate(error_rate).fit(learner, train, [chests(120, seed=3)])


@pytest.fixture(scope="module", params=[None, Describer()], ids=["traits", "descriptors"])
def gate(request):
    return fit_gate(request.param)


@pytest.mark.parametrize("kind", list(WRONG_PICTURES))
def test_gate_planted_wrong_pictures_are_caught_and_named(gate, kind):
    fresh = chests(40, seed=11)
    wrong = with_pictures(fresh, make_wrong(images_of(fresh), kind, np.random.default_rng(5)))
    is_outside, reasons = gate.judge(wrong)
    assert is_outside.mean() >= 0.95
    assert np.mean([reason == kind for reason in reasons]) >= 0.8


def test_gate_black_white_and_colour_noise_are_caught(gate):
    generator = np.random.default_rng(0)
    fresh = chests(12, seed=12)
    for value in (0, 255):
        blank = [Image.of_pixels(np.full((SIZE_PX, SIZE_PX, 1), value, np.uint8))] * 12
        is_outside, reasons = gate.judge(with_pictures(fresh, blank))
        assert is_outside.all() and set(reasons) == {BLANK}
    noise = [Image.of_pixels(generator.integers(0, 256, (SIZE_PX, SIZE_PX, 1), dtype=np.uint8)) for _ in range(12)]
    assert gate.judge(with_pictures(fresh, noise))[0].all()
    photo = [Image.of_pixels(np.tile(i.pixels, 3) // np.array([1, 2, 4], np.uint8)) for i in images_of(fresh)]
    if not gate.uses_descriptors_:
        assert gate.judge(with_pictures(fresh, photo))[0].all()  # the right shapes, but coloured


def test_gate_good_pictures_pass_at_about_the_asked_rate(gate):
    refused, reasons = gate.judge(chests(400, seed=21))
    assert 0.03 <= refused.mean() <= 0.2  # asked 0.1; thresholds from 120 pictures vary by about 0.03
    assert [bool(reason) for reason in reasons] == refused.tolist()
    children = gate.judge(chests(100, seed=22, domain="children", brightness=0.08))[0]
    assert children.mean() <= 0.25  # the other site is a radiograph, too
    told = gate.error_rate_
    assert gate.num_held_out_ == 120 and told.low <= told.value <= told.high and abs(told.value - 0.1) < 0.08
    assert all(found.value > 0.9 for found in gate.caught_.values()) and set(gate.caught_) == set(WRONG_PICTURES)


def test_gate_mirrored_chest_is_still_one():
    fresh = chests(100, seed=23)
    left_right = [Image.of_pixels(np.ascontiguousarray(image.pixels[:, ::-1])) for image in images_of(fresh)]
    gate = InputGate(0.1).fit(None, [chests(60, seed=2), with_pictures(fresh, left_right)], [chests(120, seed=3)])
    assert gate.judge(fresh)[0].mean() < 0.3


def test_gate_stricter_rate_refuses_fewer():
    rates = [fit_gate(error_rate=rate).judge(chests(300, seed=31))[0].mean() for rate in (0.3, 0.02)]
    assert rates[0] > 2 * rates[1]


def test_gate_of_a_file_judges_as_before(gate, tmp_path):
    gate.save(tmp_path / "gate")
    assert {path.suffix for path in (tmp_path / "gate").iterdir()} == {".json", ".safetensors"}
    loaded = InputGate.load(tmp_path / "gate", Describer())
    fresh = chests(20, seed=41)
    mixed = with_pictures(fresh, [*images_of(fresh)[:10], *make_wrong(images_of(fresh)[10:], INVERTED, None)])
    before, after = gate.judge(mixed), loaded.judge(mixed)
    np.testing.assert_array_equal(before[0], after[0])
    assert before[1] == after[1] and loaded.facts() == gate.facts()
    if gate.uses_descriptors_:
        with pytest.raises(VerificationError, match="another learner"):
            InputGate.load(tmp_path / "gate", None)
    with pytest.raises(VerificationError, match="no input gate"):
        InputGate.load(tmp_path)


def test_gate_in_a_scoring_model_is_saved_verified_and_loaded(tmp_path):
    from small_defect_model import make_defect_model

    gate = fit_gate()
    model = replace(make_defect_model(has_kinds=False), gate=gate)
    model.save(tmp_path / "model")
    fresh = chests(15, seed=51)
    loaded = ScoringModel.load(tmp_path / "model")
    assert loaded.gate.judge(fresh)[1] == gate.judge(fresh)[1]
    assert ScoringModel.load(_saved(replace(model, gate=None), tmp_path / "plain")).gate is None
    path = tmp_path / "model" / "gate" / "input_gate.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(VerificationError, match="changed"):
        ScoringModel.load(tmp_path / "model")


def test_gate_without_enough_held_out_pictures_is_refused():
    with pytest.raises(BadParamsError, match="20 held-out ones; there are 8"):
        InputGate(0.05).fit(None, [chests(30)], [chests(8)])


def test_gate_finds_the_describer_inside_wrapping_learners():
    inner = Describer()
    for outer in (SimpleNamespace(inner_=inner), SimpleNamespace(parts_=[SimpleNamespace(), inner])):
        assert describer_of(outer) == inner.describe
    assert describer_of(None) is None and describer_of(SimpleNamespace(inner_=SimpleNamespace())) is None


def test_thresholds_keep_the_rate_on_fresh_pictures_on_average():
    rates = []
    for seed in range(300):
        generator = np.random.default_rng(seed)
        checks, distance = generator.normal(1.0, 1.0, 59), generator.normal(size=59)
        of_checks, of_distance = _thresholds(checks, distance, np.zeros(59, dtype=bool), 0.1)
        fresh = generator.normal(1.0, 1.0, 2000), generator.normal(size=2000)
        rates.append(((fresh[0] > of_checks) | (fresh[1] > of_distance)).mean())
    assert 0.08 < np.mean(rates) <= 0.105


def test_gate_of_no_picture_says_nothing(gate):
    is_outside, reasons = gate.judge(chests(2).take([]))
    assert is_outside.shape == (0,) and reasons == []


def test_wrong_pictures_are_what_they_say():
    pixels = chests(1, seed=7).inputs["image"][0].pixels
    generator = np.random.default_rng(0)
    assert (WRONG_PICTURES[INVERTED](pixels, generator).astype(int) + pixels == 255).all()
    upside = [WRONG_PICTURES[UPSIDE_DOWN](pixels, generator) for _ in range(20)]
    expected = [pixels[::-1], pixels[::-1, ::-1]]
    assert {next(k for k in (0, 1) if (one == expected[k]).all()) for one in upside} == {0, 1}
    turned = [WRONG_PICTURES[TURNED](pixels, generator) for _ in range(20)]
    ways = [np.rot90(pixels, 1), np.rot90(pixels, 3)]
    assert {next(k for k in (0, 1) if (one == ways[k]).all()) for one in turned} == {0, 1}
    made = [WRONG_PICTURES[NOT_A_RADIOGRAPH](pixels, generator) for _ in range(40)]
    is_shuffled = [np.array_equal(np.sort(one, axis=None), np.sort(pixels, axis=None)) for one in made]
    assert 5 < sum(is_shuffled) < 35 and all(one.shape == pixels.shape for one in made)


def test_domain_distance_is_the_textbook_one_to_the_nearest_domain():
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(3, 3))
    domains = np.repeat([0, 1], 200)
    rows = generator.normal(size=(400, 3)) @ mixing + 8.0 * domains[:, None]
    fitted = DomainDistance.fit(rows, domains)
    places = np.column_stack(
        [
            (rows - fitted.means) / fitted.scales @ fitted.components.T,
            np.full(400, np.log(1e-6 + 1e-3 * np.sqrt(3))),  # three components miss nothing of three columns
        ]
    )
    covariance = np.zeros((3, 3))
    centres = [places[domains == k, :3].mean(axis=0) for k in (0, 1)]
    for row, domain in zip(places[:, :3], domains, strict=True):
        apart = row - centres[domain]
        covariance += np.outer(apart, apart) / 399
    shrunk = 0.9 * covariance + 0.1 * np.diag(np.diag(covariance))
    expected = [min(np.sqrt((x - c) @ np.linalg.inv(shrunk) @ (x - c)) for c in centres) for x in places[:, :3]]
    np.testing.assert_allclose(fitted.measure(rows), expected, rtol=0.02)  # a ridge of a thousandth is on top


def _saved(model, folder):
    model.save(folder)
    return folder
