import io

import numpy as np
import pytest
from PIL import Image

from core.data.domain_folder import batch_path
from core.errors import BadParamsError, MissingArtifactError, VerificationError
from core.images.archive import archive_path, iterate_archive
from verticals.defect_detection.dataset import read_domain
from verticals.defect_detection.domains import DEMO_DOMAINS, HERE, fetch, locate_cells, read_cells, read_demo_spec
from verticals.defect_detection.domains.modules import cut_run, module_blocks

# name -> (pictures, defective, modules as published)
COUNTS = {"elpv_mono": (1074, 369, 18), "elpv_poly": (1550, 452, 26)}


@pytest.fixture(scope="module")
def fetched(tmp_path_factory):
    try:
        locate_cells()
    except MissingArtifactError as error:
        pytest.skip(f"demo data not installed: {error.message}")
    folder, lines = tmp_path_factory.mktemp("data"), []
    fetch([], folder, report=lines.append)
    return folder / "defect_detection", lines


@pytest.mark.parametrize("name", DEMO_DOMAINS)
def test_demo_spec_is_complete(name):
    spec = read_demo_spec(name)
    assert all((spec.outcome, spec.source, spec.licence, spec.citation, len(spec.sha256) == 64, spec.caveats))
    assert [c.name for c in spec.columns if not c.meaning or not c.unit] == []
    assert (HERE / f"{name}.md").read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("name", DEMO_DOMAINS)
def test_fetched_domain_has_the_published_counts(fetched, name):
    folder, lines = fetched
    rows = read_domain(folder / name)
    num_rows, num_defective, num_modules = COUNTS[name]
    assert (len(rows), int(rows.manifest["label"].sum())) == (num_rows, num_defective)
    assert rows.manifest["group"].nunique() == num_modules and len(rows.problems) == 0
    assert rows.manifest["group"].value_counts().between(40, 80).all()
    graded = rows.manifest["label_probability"].to_numpy()
    assert set(np.round(graded * 3, 6)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(graded >= 0.5, rows.manifest["label"] == 1)
    first = next(iterate_archive(archive_path(folder / name, "initial")))
    assert Image.open(io.BytesIO(first.raw)).size == (300, 300) and first.file == rows.columns["image"].iloc[0]
    assert any(name in line and "CC BY-NC-SA 4.0" in line for line in lines)


def test_fetch_again_leaves_the_domain_as_it_is(fetched):
    folder, _ = fetched
    path = batch_path(folder / "elpv_mono", "initial")
    before, lines = path.stat().st_mtime_ns, []
    fetch(["elpv_mono"], folder.parent, report=lines.append)
    assert path.stat().st_mtime_ns == before and "already there" in lines[0]


def test_unknown_name_and_another_version_are_refused(tmp_path):
    with pytest.raises(BadParamsError, match="elpv_mono"):
        fetch(["elpv_mon"], tmp_path)
    (tmp_path / "labels.csv").write_text("images/a.png 1.0 mono\n")
    with pytest.raises(MissingArtifactError, match=r"images/a\.png"):
        read_cells(tmp_path, "0" * 64)
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.png").write_bytes(b"x")
    with pytest.raises(VerificationError):
        read_cells(tmp_path, "0" * 64)


def test_module_blocks_end_at_changes_of_type_and_where_the_statistics_break():
    random = np.random.default_rng(0)
    sizes, types = [60, 60, 54, 60, 72], ["mono", "mono", "mono", "mono", "poly"]
    cell_types = np.repeat(types, sizes)
    statistics = np.repeat(random.normal(size=(5, 12)) * 3, sizes, axis=0) + random.normal(size=(306, 12))
    blocks = module_blocks(cell_types, statistics)
    assert np.bincount(blocks).tolist() == sizes
    np.testing.assert_array_equal(blocks, module_blocks(cell_types, statistics))


@pytest.mark.parametrize("num_cells", [1, 20, 59, 81, 90, 119, 200, 301])
def test_cut_run_of_any_length_starts_at_zero_and_ascends(num_cells):
    cuts = cut_run(np.random.default_rng(1).normal(size=(num_cells, 3)), 1.0)
    assert cuts[0] == 0 and cuts == sorted(set(cuts)) and cuts[-1] < num_cells
