import io
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core.cli import domains
from core.data.domain import read_domain_spec
from core.data.table_dataset import read_table_domain
from core.errors import BadInputError, BadParamsError, MissingArtifactError, VerificationError
from core.images.archive import archive_path, iterate_archive, read_file, read_index, write_archive
from core.images.importing import import_images


def picture(seed, size=(24, 24), kind="PNG", mode=None):
    pixels = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    image = Image.fromarray(pixels)
    file = io.BytesIO()
    (image.convert(mode) if mode else image).save(file, kind)
    return file.getvalue()


def put(folder, files):
    for name, raw in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw)
    return folder


def listed(folder, rows, columns=("file", "label"), name="labels.csv"):
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=list(columns)).to_csv(folder / name, index=False)
    return folder


def line(folder, num=6):
    """A folder with labels.csv: even pictures are good, odd ones have a scratch."""
    put(folder, {f"p/{i}.png": picture(i) for i in range(num)})
    return listed(folder, [(f"p/{i}.png", "scratch" if i % 2 else "Good") for i in range(num)])


def take_in(path, tmp_path, domain="my_line", **declared):
    return import_images(path, tmp_path / "data", "defect_detection", domain, report=lambda line: None, **declared)


def rows_of(report, batch="initial"):
    return pd.read_parquet(report.folder / "rows" / f"{batch}.parquet")


def quarantine_of(report, batch="initial"):
    return pd.read_csv(report.folder / "quarantine" / f"{batch}.csv")


def test_import_of_a_list_writes_rows_archive_and_description(tmp_path):
    report = take_in(line(tmp_path / "in"), tmp_path)
    spec = read_domain_spec(report.folder)
    assert (report.num_rows, report.num_quarantined, report.num_unlabelled) == (6, 0, 0)
    assert (spec.positive, spec.negative) == (("scratch",), ("Good",))
    assert spec.image_column.name == "image" and spec.image_column.image.colour == "grey"
    cells = list(rows_of(report)["image"])
    assert cells == [f"initial/p/{i}.png" for i in range(6)]
    archived = {f.file: f.raw for f in iterate_archive(archive_path(report.folder, "initial"))}
    assert archived == {f"initial/p/{i}.png": picture(i) for i in range(6)}  # the bytes, unchanged
    rows = read_table_domain(report.folder)
    assert list(rows.manifest["label"]) == [0, 1] * 3
    assert len(quarantine_of(report)) == 0


def test_import_with_other_names_keeps_further_columns_and_roles(tmp_path):
    put(tmp_path / "in", {f"{i}.png": picture(i) for i in range(6)} | {"m/1.png": picture(99)})
    table = [(f"{i}.png", "NOK" if i % 2 else "fine", i // 2, "m/1.png" if i == 1 else "", "train", "exp1", i)
             for i in range(6)]  # fmt: skip
    names = ("path", "state", "part", "where", "fold", "exposure", "image")
    listed(tmp_path / "in", table, names, "list.csv")
    report = take_in(tmp_path / "in" / "list.csv", tmp_path, file="path", label="state", negative="fine",
                     group="part", mask="where", split="fold")  # fmt: skip
    spec = read_domain_spec(report.folder)
    assert {c.name: (c.kind, c.use) for c in spec.columns if c.name != "image_in_list"} == {
        "image": ("image", "feature"),
        "state": ("category", "label"),
        "part": ("category", "group"),
        "where": ("mask", "annotation"),
        "fold": ("category", "split"),
        "exposure": ("category", "ignore"),
    }
    assert spec.column("image_in_list").use == "ignore"
    assert rows_of(report)["where"].dropna().tolist() == ["initial/m/1.png"]
    assert len(read_index(archive_path(report.folder, "initial"))) == 7


BAD_FILES = {
    "zero.png": (b"", "empty"),
    "cut.png": (picture(50)[:-120], "truncated"),
    "text.png": (b"not a picture at all, only words " * 9, "no picture"),
    "dot.png": (picture(51, (1, 1)), "too small"),
}


def test_import_sets_every_bad_picture_aside_with_its_reason(tmp_path):
    folder = line(tmp_path / "in")
    put(folder, {name: raw for name, (raw, _) in BAD_FILES.items()})
    put(folder, {"same.png": picture(0), "other.png": picture(60), "again.png": picture(60), "p/free.png": picture(61)})
    put(tmp_path, {"secret.png": picture(62)})
    table = [(f"p/{i}.png", "scratch" if i % 2 else "good") for i in range(6)]
    table += [(name, "good") for name in BAD_FILES]
    table += [("gone.png", "good"), ("p/0.png", "good"), ("same.png", "good")]
    table += [("../secret.png", "good"), (str(tmp_path / "secret.png"), "good"), ("C:\\x.png", "good"), ("", "good")]
    table += [("other.png", "good"), ("again.png", "scratch")]
    report = take_in(listed(folder, table), tmp_path)
    reasons = dict(zip(quarantine_of(report)["value"].fillna(""), quarantine_of(report)["reason"],
                       strict=True))  # fmt: skip
    for name, (_, reason) in BAD_FILES.items():
        assert reason in reasons[name]
    assert "no such file" in reasons["gone.png"] and "listed already in row 2" in reasons["p/0.png"]
    assert "byte-identical to the picture in row 2" in reasons["same.png"]
    assert all("leaves the folder" in reasons[n] for n in ("../secret.png", str(tmp_path / "secret.png"), "C:/x.png"))
    assert "no path" in reasons[""]
    assert all("'good' and 'scratch'" in reasons[name] for name in ("other.png", "again.png"))
    assert (report.num_rows, report.num_quarantined) == (6, 13)
    assert any("1 pictures in these folders are in no row, such as free.png" in note for note in report.notes)


def test_import_does_not_follow_a_link_out_of_the_folder(tmp_path):
    folder = line(tmp_path / "in")
    put(tmp_path, {"secret.png": picture(62)})
    (folder / "p/0.png").unlink()
    (folder / "p/0.png").symlink_to(tmp_path / "secret.png")
    report = take_in(folder, tmp_path)
    assert report.num_rows == 5 and "leaves the folder" in quarantine_of(report)["reason"][0]


@pytest.mark.parametrize(("raw", "reason"), [(picture(7, (20, 24)), "24 x 20 px"), (b"", "empty"), (None, "no such")])
def test_import_drops_a_mask_that_does_not_fit_and_keeps_the_picture(tmp_path, raw, reason):
    folder = line(tmp_path / "in")
    if raw is not None:
        put(folder, {"mask.png": raw})
    listed(folder, [(f"p/{i}.png", "good" if i else "bad", "" if i else "mask.png") for i in range(6)],
           ("file", "label", "mask"))  # fmt: skip
    report = take_in(folder, tmp_path)
    assert (report.num_rows, report.num_quarantined) == (6, 0)
    assert rows_of(report)["mask"].isna().all()
    assert reason in quarantine_of(report)["reason"][0] and any("masks were dropped" in note for note in report.notes)


def mvtec(folder):
    files = {f"train/good/{i}.png": picture(i) for i in range(4)} | {"test/good/0.png": picture(10)}
    files |= {"test/crack/0.png": picture(11), "ground_truth/crack/0_mask.png": picture(12), "readme.txt": b"x"}
    return put(folder, files)


def test_import_of_mvtec_folders_keeps_split_and_masks(tmp_path):
    report = take_in(mvtec(tmp_path / "in"), tmp_path)
    rows = rows_of(report).set_index("image")
    assert rows["split"].tolist() == ["test", "test"] + ["train"] * 4
    assert rows.loc["initial/test/crack/0.png", "mask"] == "initial/ground_truth/crack/0_mask.png"
    assert rows["mask"].notna().sum() == 1
    spec = read_domain_spec(report.folder)
    assert (spec.positive, spec.negative) == (("crack",), ("good",))
    assert spec.column("split").use == "split" and spec.column("mask").use == "annotation"


def test_import_of_class_folders_and_of_pictures_alone(tmp_path):
    folder = put(tmp_path / "in", {f"{c}/{i}.jpg": picture(i + 9 * (c == "ok"), kind="JPEG") for c in ("ok", "dent")
                                   for i in range(3)})  # fmt: skip
    report = take_in(folder, tmp_path)
    assert sorted(rows_of(report)["label"]) == ["dent"] * 3 + ["ok"] * 3
    flat = take_in(folder / "ok", tmp_path, domain="flat")
    assert (flat.num_rows, flat.num_unlabelled) == (3, 3)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_import_of_an_archive_equals_that_of_its_folder(tmp_path, kind):
    folder = line(tmp_path / "wrapped" / "line")
    path = tmp_path / f"line.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in folder.rglob("*.*"):
                archive.write(file, file.relative_to(tmp_path / "wrapped"))
    else:
        with tarfile.open(path, "w:gz") as archive:
            archive.add(folder, "line")
    pd.testing.assert_frame_equal(rows_of(take_in(path, tmp_path)), rows_of(take_in(folder, tmp_path, domain="plain")))


@pytest.mark.parametrize("name", ["../evil.png", "/evil.png", "a/../../evil.png", "..\\evil.png"])
def test_import_of_an_archive_that_leaves_its_folder_is_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr(name, picture(0))
    with pytest.raises(BadInputError, match="out of its folder"):
        take_in(tmp_path / "evil.zip", tmp_path)
    assert not (tmp_path / "evil.png").exists() and not (tmp_path / "data").exists()


def test_import_of_a_tar_with_a_link_is_refused(tmp_path):
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        link = tarfile.TarInfo("a.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(BadInputError, match="link"):
        take_in(tmp_path / "evil.tar", tmp_path)


def test_further_batch_adds_up_and_knows_earlier_pictures(tmp_path):
    take_in(line(tmp_path / "in"), tmp_path)
    put(tmp_path / "next", {"a.png": picture(20), "b.png": picture(21), "old.png": picture(0), "odd.png": picture(1)})
    names = [("a.png", "good"), ("b.png", "dent"), ("old.png", "Good"), ("odd.png", "good")]
    listed(tmp_path / "next", names)
    report = take_in(tmp_path / "next", tmp_path, batch="second", positive="dent", negative="good")
    reasons = quarantine_of(report, "second")["reason"]
    assert (report.num_rows, report.num_quarantined) == (2, 2)
    assert reasons[0] == "the same picture is in batch 'initial' already"
    assert "labelled 'scratch' and not 'good'" in reasons[1]
    rows = read_table_domain(report.folder)
    assert len(rows) == 8 and rows.manifest["label"].notna().all()
    assert set(read_domain_spec(report.folder).positive) == {"scratch", "dent"}
    with pytest.raises(BadInputError, match="has a batch 'second' already"):
        take_in(tmp_path / "next", tmp_path, batch="second")


def test_further_batch_with_a_known_key_for_another_picture_is_refused(tmp_path):
    for name, seeds in (("in", (0, 1)), ("next", (2, 3))):
        put(tmp_path / name, {f"{seed}.png": picture(seed) for seed in seeds})
        rows = [(f"{seed}.png", "good", f"k{seed % 2}") for seed in seeds]
        listed(tmp_path / name, rows, ("file", "label", "part"))
    take_in(tmp_path / "in", tmp_path, key="part")
    with pytest.raises(BadInputError, match="unique over all batches"):
        take_in(tmp_path / "next", tmp_path, batch="next")


def test_import_of_good_pictures_alone_is_taken_and_told(tmp_path):
    put(tmp_path / "in", {f"good/{i}.png": picture(i) for i in range(3)})
    report = take_in(tmp_path / "in", tmp_path)
    assert any("Only good pictures" in note for note in report.notes)
    put(tmp_path / "next", {"good/9.png": picture(9), "hole/8.png": picture(8)})
    report = take_in(tmp_path / "next", tmp_path, batch="next")
    assert read_domain_spec(report.folder).positive == ("hole",)


def refused(tmp_path):
    folder = line(tmp_path / "in")
    same = put(tmp_path / "same", {f"{c}/{i}.png": picture(0) for c in ("good", "bad") for i in range(2)})
    bad_only = put(tmp_path / "bad_only", {f"hole/{i}.png": picture(i) for i in range(3)})
    empty = tmp_path / "empty"
    empty.mkdir()
    return {
        "a column that is not there": (folder, {"group": "file_"}, "renamed"),
        "the label column": (folder, {"label": "lable"}, "'label'"),
        "the file column": (folder, {"file": "fil"}, "'file'"),
        "a word that does not occur": (folder, {"positive": "scrach"}, "'scratch'"),
        "a word told twice": (folder, {"positive": "Good", "negative": "Good"}, "positive and as negative"),
        "one column for two roles": (folder, {"mask": "label"}, "two roles"),
        "an unknown layout": (folder, {"layout": "mvtek"}, "'mvtec'"),
        "all the same": (same, {}, "the same, byte for byte"),
        "defects alone": (bad_only, {}, "labelled good"),
        "nothing": (empty, {}, "no pictures"),
        "one picture": (folder / "p/0.png", {}, "one picture"),
    }


@pytest.mark.parametrize("case", [
    "a column that is not there", "the label column", "the file column", "a word that does not occur",
    "a word told twice", "one column for two roles", "an unknown layout", "all the same", "defects alone", "nothing",
    "one picture",
])  # fmt: skip
def test_import_refuses_and_leaves_nothing_behind(tmp_path, case):
    path, declared, words = refused(tmp_path)[case]
    with pytest.raises(BadInputError, match=words):
        take_in(path, tmp_path, **declared)
    assert not list((tmp_path / "data").rglob("*"))


def test_import_of_a_path_that_is_not_there_says_so(tmp_path):
    with pytest.raises(MissingArtifactError):
        take_in(tmp_path / "nowhere", tmp_path)


def test_import_tells_conversions_and_finds_colour(tmp_path):
    folder = put(tmp_path / "in", {"good/1.jpg": picture(1, (24, 24, 3), "JPEG", "CMYK"), "bad/2.png": picture(2)})
    report = take_in(folder, tmp_path)
    assert "1 pictures: CMYK converted to RGB." in report.notes
    assert read_domain_spec(report.folder).image_column.image.colour == "rgb"


def test_command_line_passes_the_options_of_pictures_on(tmp_path, monkeypatch):
    monkeypatch.setattr(domains, "project_root", lambda: tmp_path)
    folder = line(tmp_path / "in")
    (folder / "labels.csv").rename(folder / "list.csv")
    given = {"file": "file", "negative": ["Good"], "layout": "list"}
    domains.import_domain("defect_detection", "my_line", folder / "list.csv", **given)
    spec = read_domain_spec(tmp_path / "data/defect_detection/my_line")
    assert spec.negative == ("Good",) and spec.positive == ("scratch",)
    with pytest.raises(BadParamsError, match="credit_risk does not know --mask, --layout"):
        domains.import_domain("credit_risk", "bank", folder / "list.csv", mask="m", layout="list")


def test_archive_in_small_groups_gives_back_what_was_written(tmp_path):
    files = [(f"b/{i}", bytes([i]) * (i * 10)) for i in range(30)]
    path = tmp_path / "images" / "b.parquet"
    write_archive(path, iter(files), group_bytes=500)
    assert [(f.file, f.raw) for f in iterate_archive(path)] == files
    assert read_index(path)["row_group"].nunique() > 5
    assert [f.file for f in iterate_archive(path, {"b/3", "b/29", "elsewhere"})] == ["b/3", "b/29"]
    assert read_file(path, "b/7") == files[7][1]
    with pytest.raises(MissingArtifactError, match="'b/2"):
        read_file(path, "b/290")


def test_archive_with_changed_bytes_is_refused(tmp_path):
    path = tmp_path / "b.parquet"
    write_archive(path, [("b/1", b"sound" * 100)])
    path.write_bytes(path.read_bytes().replace(b"sound", b"wrong", 1))
    with pytest.raises(VerificationError, match="not what was taken in"):
        list(iterate_archive(path))
