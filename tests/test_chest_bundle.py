"""The MONAI bundle: it runs without this project, scores as the model does, and fits pictures as training did."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as PillowImage
from small_defect_model import SIZE_PX, SPEC, TINY, blob_samples, make_defect_model

from core.images.decoding import decode
from core.images.fitting import fit
from core.images.image import Image
from core.images.spec import ImageSpec
from core.learners import LEARNERS
from core.params import VerticalParams, parse_section

pytest.importorskip("monai")
pytest.importorskip("ignite")
pytest.importorskip("fire")
pytest.importorskip("onnxruntime")

from core.pictures.scorer import PictureScorer
from verticals.chest_xray.export import export
from verticals.chest_xray.medical import bundle_run
from verticals.chest_xray.medical.bundle_run import bundle_parity, run_bundle
from verticals.chest_xray.medical.bundle_scripts.fitting import as_eight_bits, fit_pixels

TOLERANCE = 1e-3
PADDED = replace(SPEC, columns=(replace(SPEC.columns[0], image=ImageSpec(size_px=SIZE_PX, fit="pad")), SPEC.columns[1]))


@pytest.fixture(scope="module")
def model():
    return replace(make_defect_model(has_kinds=False), spec=replace(PADDED, is_synthetic=True))


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    opened = {name: blob_samples(12, seed=seed)[0] for seed, name in enumerate(("train", "valid", "test"), start=1)}
    values = {"prepare": {"target_domain": "line_a"}, "export": {"parity_tolerance": TOLERANCE, "num_latency_rows": 8}}
    params = parse_section(VerticalParams, values, where="chest_xray")
    return folder, export(model, opened, params, folder)


def test_export_writes_a_bundle_that_runs_and_is_equal(exported):
    folder, result = exported
    assert result["bundle_is_run"] and result["bundle_rows_compared"] == 12
    assert result["bundle_largest_difference"] < TOLERANCE
    assert result["is_equal"] and result["bundle_is_equal"]
    suffixes = {path.suffix for path in (folder / "bundle").rglob("*") if path.is_file()}
    assert suffixes == {".json", ".onnx", ".py", ".md"}


def test_bundle_metadata_has_the_fields_of_the_schema_and_says_synthetic(exported):
    told = json.loads((exported[0] / "bundle/configs/metadata.json").read_text())
    required = {"schema", "version", "changelog", "monai_version", "pytorch_version", "numpy_version", "task"}
    required |= {"required_packages_version", "description", "authors", "copyright", "network_data_format"}
    required |= {"data_source", "data_type", "intended_use"}
    assert required <= set(told)
    assert told["version"] in told["changelog"]
    assert told["description"].startswith("SYNTHETIC")
    assert "SYNTHETIC" in (exported[0] / "bundle/docs/README.md").read_text()
    assert told["network_data_format"]["inputs"]["image"]["spatial_shape"] == [SIZE_PX, SIZE_PX]


def test_bundle_has_all_properties_of_a_monai_inference_workflow(exported):
    """In a process of its own, as `scripts` is a name that another bundle would take, too."""
    code = (
        "import sys; sys.path.insert(0, '.'); from monai.bundle import ConfigWorkflow, verify_net_in_out;"
        "flow = ConfigWorkflow('configs/inference.json', 'configs/metadata.json', workflow_type='infer');"
        "flow.initialize(); print('missing', flow.check_properties());"
        "verify_net_in_out('network_def', 'configs/metadata.json', 'configs/inference.json', device='cpu')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=exported[0] / "bundle", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-800:]
    assert "missing []" in done.stdout


def test_bundle_scores_files_of_any_size_as_predict_does(model, exported, tmp_path):
    pictures = tmp_path / "pictures"
    (pictures / "deep, er").mkdir(parents=True)
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (90, 61), dtype=np.uint8)
    wide = generator.integers(900, 4000, (40, 75), dtype=np.uint16)
    PillowImage.fromarray(pixels).save(pictures / "a.png")
    PillowImage.fromarray(wide).save(pictures / "deep, er" / "b.png")
    (pictures / "notes.txt").write_text("no picture")
    found = run_bundle(exported[0] / "bundle", pictures, tmp_path / "out")
    scorer = PictureScorer(model)
    assert set(found) == {"a.png", "deep, er/b.png"}
    for name, probability in found.items():
        samples = scorer.samples_of([scorer.read((pictures / name).read_bytes())])
        assert probability == pytest.approx(model.predict_probability(samples)[0, 1], abs=TOLERANCE)
    assert abs(found["a.png"] - found["deep, er/b.png"]) > 1e-4


def test_bundle_that_differs_is_told(model, exported, monkeypatch):
    test = blob_samples(4, seed=3)[0]
    honest = dict.fromkeys([f"{row:04d}.png" for row in range(4)], 0.123)
    monkeypatch.setattr(bundle_run, "run_bundle", lambda *_: honest)
    found = bundle_parity(model, test, exported[0] / "bundle", TOLERANCE)
    expected = np.abs(model.predict_probability(test)[:, 1] - 0.123).max()
    assert not found["bundle_is_equal"]
    assert found["bundle_largest_difference"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("how", ["squash", "pad", "native"])
@pytest.mark.parametrize("colour", ["grey", "rgb"])
@pytest.mark.parametrize("shape", [(90, 61), (61, 200, 3), (20, 17), (32, 32)], ids=str)
def test_bundle_fits_pixels_exactly_as_training(how, colour, shape):
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    expected = fit(pixels, ImageSpec(size_px=48, colour=colour, fit=how))
    np.testing.assert_array_equal(fit_pixels(pixels, 48, colour, how), expected)


def _pictures():
    generator = np.random.default_rng(2)
    grey, colour = (generator.integers(0, 256, shape, dtype=np.uint8) for shape in ((40, 30), (40, 30, 3)))
    alpha = generator.integers(0, 256, (40, 30, 4), dtype=np.uint8)
    yield "grey", PillowImage.fromarray(grey)
    yield "colour", PillowImage.fromarray(colour)
    yield "alpha", PillowImage.fromarray(alpha, "RGBA")
    yield "grey and alpha", PillowImage.fromarray(alpha[:, :, :2].copy(), "LA")
    yield "palette", PillowImage.fromarray(colour).convert("P")
    yield "one bit", PillowImage.fromarray(grey).convert("1")
    yield "sixteen bits", PillowImage.fromarray(generator.integers(0, 4096, (40, 30), dtype=np.uint16))
    yield "flat sixteen bits", PillowImage.fromarray(np.full((40, 30), 3000, dtype=np.uint16))


@pytest.mark.parametrize("name, picture", list(_pictures()), ids=[name for name, _ in _pictures()])
def test_bundle_decodes_each_mode_as_the_project(name, picture, tmp_path):
    path = tmp_path / "x.png"
    picture.save(path)
    spec = ImageSpec(size_px=48, colour="grey", fit="pad")
    with PillowImage.open(path) as opened:
        found = fit_pixels(np.asarray(as_eight_bits(opened)), 48, "grey", "pad")
    np.testing.assert_array_equal(found, fit(decode(path.read_bytes()), spec))
    assert Image.of_pixels(found).pixels.shape == (48, 48, 1)


def test_bundle_that_cannot_be_run_here_names_what_is_missing(model, tmp_path, monkeypatch):
    monkeypatch.setitem(bundle_run.NEEDED_MODULES, "module_that_is_nowhere", "package-nowhere")
    found = bundle_parity(model, blob_samples(2, seed=3)[0], tmp_path, TOLERANCE)
    assert found["bundle_is_run"] is False and "pip install package-nowhere" in found["bundle_reason"]


def test_learner_without_a_graph_gets_no_bundle(model, tmp_path):
    learner = LEARNERS["image_probe"]({**TINY, "normalise": "group", "head": "logistic", "strength": 1.0}, seed=0)
    grouped = replace(model, learner=learner.fit(blob_samples(20, seed=1)[0]))
    opened = dict.fromkeys(("train", "valid", "test"), blob_samples(6, seed=2)[0])
    values = {"prepare": {"target_domain": "line_a"}}
    found = export(grouped, opened, parse_section(VerticalParams, values, where="chest_xray"), tmp_path)
    assert found["bundle"] == "nothing" and not (tmp_path / "bundle").exists()
