"""Demo domains whose rows a function draws: written once, said to be synthetic, left alone afterwards."""

import pandas as pd
import pytest

from core.data.demo_domains import is_generated, whole_file, write_generated_domains
from core.data.domain import read_domain_spec
from core.data.domain_folder import batch_path, read_batches
from core.errors import BadInputError, BadParamsError
from core.images.archive import archive_path

YAML = """\
name: drawn
vertical: toy
columns:
- {name: number, kind: number}
- {name: outcome, use: label}
positive: ['yes']
negative: ['no']
is_synthetic: true
"""
ROWS = pd.DataFrame({"number": ["1", "2"], "outcome": ["yes", "no"]}).astype(object)


def write(tmp_path, *, text=YAML, rows=ROWS, files=(), names=("drawn",)):
    (tmp_path / "drawn.yaml").write_text(text)
    told = []
    write_generated_domains(
        names, tmp_path, {"drawn": lambda: whole_file(rows, files)}, tmp_path / "data", report=told.append
    )
    return told


def test_generated_domain_is_written_with_the_digest_of_its_rows(tmp_path):
    assert "2 rows" in write(tmp_path)[0]
    folder = tmp_path / "data/toy/drawn"
    pd.testing.assert_frame_equal(pd.read_parquet(batch_path(folder, "initial")).astype(object), ROWS)
    assert read_domain_spec(folder).is_synthetic
    assert read_domain_spec(folder).sha256 == read_batches(folder)[0]["sha256"] != ""


def test_generated_domain_that_is_there_keeps_its_reviewed_yaml(tmp_path):
    write(tmp_path)
    path = tmp_path / "data/toy/drawn/domain.yaml"
    path.write_text(path.read_text() + "title: reviewed\n")
    assert write(tmp_path) == ["drawn: already there"]
    assert read_domain_spec(path.parent).title == "reviewed"


def test_generated_domain_beside_other_rows_of_its_name_is_refused(tmp_path):
    write(tmp_path)
    with pytest.raises(BadInputError, match="another domain of the name 'drawn'"):
        write(tmp_path, rows=ROWS.assign(number=["3", "4"]))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"text": YAML.replace("is_synthetic: true", "title: real")}, "is_synthetic"),
        ({"names": ("drwn",)}, "Did you mean 'drawn'"),
    ],
)
def test_generated_domain_that_is_wrong_writes_nothing(tmp_path, changes, expected):
    with pytest.raises(BadParamsError, match=expected):
        write(tmp_path, **changes)
    assert not (tmp_path / "data").exists()


def test_generated_domain_with_pictures_keeps_their_bytes(tmp_path):
    write(tmp_path, files=[("initial/a.bmp", b"picture"), ("initial/b.bmp", b"another")])
    folder = tmp_path / "data/toy/drawn"
    archive = pd.read_parquet(archive_path(folder, "initial"))
    assert dict(zip(archive["file"], archive["bytes"], strict=True))["initial/a.bmp"] == b"picture"
    assert is_generated(folder)
    with pytest.raises(BadInputError, match="another domain"):
        write(tmp_path, files=[("initial/a.bmp", b"painted over"), ("initial/b.bmp", b"another")])


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: ROWS.to_parquet(batch_path(folder, "second")),
        lambda folder: ROWS.assign(number=["9", "9"]).to_parquet(batch_path(folder, "initial")),
        lambda folder: (folder / "labels").mkdir(),
        lambda folder: (folder / "domain.yaml").write_text(YAML.replace("is_synthetic: true", "")),
        lambda folder: (folder / "domain.yaml").unlink(),
    ],
)
def test_generated_domain_that_somebody_added_to_is_no_longer_one(tmp_path, change):
    write(tmp_path)
    assert is_generated(tmp_path / "data/toy/drawn")
    change(tmp_path / "data/toy/drawn")
    assert not is_generated(tmp_path / "data/toy/drawn")
