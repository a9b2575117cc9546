import http.server
import io
import socket
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from core.data.domain_folder import batch_path
from core.data.fetching import MIRROR_VARIABLE
from core.errors import BadInputError, BadParamsError, OfflineError, VerificationError
from core.images.archive import archive_path, iterate_archive
from core.vertical import load_vertical
from verticals.chest_xray.dataset import read_domain
from verticals.chest_xray.domains import DEMO_DOMAINS, HERE, fetch, medmnist, read_demo_spec
from verticals.chest_xray.domains.hospitals import HOSPITALS
from verticals.chest_xray.domains.md5_download import OFFLINE_VARIABLE, download, locate, md5_of
from verticals.chest_xray.domains.medmnist import diseased_or_not

SIDE = 12
SIZES = {"train": 9, "val": 5, "test": 7}


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    monkeypatch.setenv(OFFLINE_VARIABLE, "1")
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    monkeypatch.setenv("CROSSDOMAIN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def small_hospitals(monkeypatch):
    for name, hospital in list(HOSPITALS.items()):
        monkeypatch.setitem(HOSPITALS, name, replace(hospital, num_pictures=10))


def write_fake_archive(folder, name, labels_of, monkeypatch):
    """A tiny file of the archive's layout in `folder`, with its MD5 pinned; returns the pictures by split."""
    random = np.random.default_rng(len(name))
    arrays = {}
    for split, number in SIZES.items():
        arrays[f"{split}_images"] = random.integers(0, 256, (number, SIDE, SIDE), dtype=np.uint8)
        arrays[f"{split}_labels"] = labels_of(number)
    path = folder / medmnist.FILES[name].file_name
    np.savez_compressed(path, **arrays)
    known = medmnist.FILES[name]
    most = known.most if known.most[0] is None else (4, 3, 4)
    monkeypatch.setitem(medmnist.FILES, name, replace(known, md5=md5_of(path), most=most))
    return arrays


def children_labels(number):
    return (np.arange(number) % 2)[:, None].astype(np.uint8)


def adult_labels(number):
    """Row by row: no finding, infiltration, effusion only, pneumonia with effusion, and so on."""
    labels = np.zeros((number, 14), dtype=np.uint8)
    labels[1::4, 3] = 1
    labels[2::4, 2] = 1
    labels[3::4, [2, 6]] = 1
    return labels


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    folder = tmp_path / "mirror"
    folder.mkdir()
    arrays = {
        "demo_children": write_fake_archive(folder, "demo_children", children_labels, monkeypatch),
        "demo_adults": write_fake_archive(folder, "demo_adults", adult_labels, monkeypatch),
    }
    return folder, arrays


@pytest.fixture
def server(mirror):
    ranges: list[str] = []

    class Resumable(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            file = mirror[0] / self.path.strip("/")
            if not file.is_file():
                self.send_error(404)
                return
            told = self.headers.get("Range", "")
            ranges.append(told)
            start = int(told.removeprefix("bytes=").split("-")[0]) if told else 0
            content = file.read_bytes()[start:]
            self.send_response(206 if told else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Resumable)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}", ranges
    running.shutdown()
    running.server_close()


def test_vertical_is_listed_with_its_demo_domains():
    vertical = load_vertical("chest_xray")
    assert vertical.classes == ("normal", "disease") and vertical.positive_index == 1
    assert vertical.demo_domains == (*vertical.source_domains, vertical.target_domain) == DEMO_DOMAINS


@pytest.mark.parametrize("origin", ["synthetic", "medmnist"])
@pytest.mark.parametrize("name", DEMO_DOMAINS)
def test_demo_spec_is_complete(name, origin):
    spec = read_demo_spec(name, origin)
    assert all((spec.outcome, spec.source, spec.licence, spec.citation, spec.caveats))
    assert spec.is_synthetic == (origin == "synthetic") == ("SYNTHETIC" in spec.title)
    assert [c.name for c in spec.columns if not c.meaning or not c.unit] == []
    card = (HERE / f"{name}.md").read_text(encoding="utf-8")
    assert card.startswith("# ") and "SYNTHETIC" in card and "CC BY 4.0" in card


def test_fetch_without_the_archive_draws_synthetic_hospitals_and_says_so(tmp_path, small_hospitals):
    lines = []
    fetch([], tmp_path, report=lines.append)
    assert all(any(name in line and "SYNTHETIC" in line for line in lines) for name in DEMO_DOMAINS)
    for name in DEMO_DOMAINS:
        rows = read_domain(tmp_path / "chest_xray" / name)
        assert rows.spec.is_synthetic and len(rows) == 10 and len(rows.problems) == 0
        assert set(rows.manifest["label"]) == {0.0, 1.0} and rows.manifest["group"].notna().all()
        assert set(rows.columns["view"]) <= {"AP", "PA"} and set(rows.columns["sex"]) <= {"F", "M"}
        assert rows.spec.protected == ("age", "sex") and rows.columns["age"].between(1, 90).all()
        assert ((rows.manifest["label"] == 1) == rows.columns["mask"].notna()).all()
        files = {
            file.file: file.raw for file in iterate_archive(archive_path(tmp_path / "chest_xray" / name, "initial"))
        }
        assert set(rows.columns["image"]) | set(rows.columns["mask"].dropna()) == set(files)
        row = rows.columns[rows.columns["mask"].notna()].iloc[0]
        mask = np.asarray(Image.open(io.BytesIO(files[row["mask"]])))
        assert set(np.unique(mask)) == {0, 255}
        assert mask.shape == np.asarray(Image.open(io.BytesIO(files[row["image"]]))).shape


def test_fetch_draws_the_same_pixels_each_time_and_leaves_what_is_there(tmp_path, small_hospitals):
    for part in ("a", "b"):
        fetch(["demo_adults"], tmp_path / part, report=lambda _: None)
    folders = [tmp_path / part / "chest_xray" / "demo_adults" for part in ("a", "b")]
    assert read_domain(folders[0]).spec.sha256 == read_domain(folders[1]).spec.sha256
    before, lines = batch_path(folders[0], "initial").stat().st_mtime_ns, []
    fetch(["demo_adults"], tmp_path / "a", report=lines.append)
    assert batch_path(folders[0], "initial").stat().st_mtime_ns == before
    assert lines == ["demo_adults: already there (SYNTHETIC)"]


def test_fetch_from_a_mirror_folder_takes_the_real_pictures(tmp_path, mirror, monkeypatch):
    folder, arrays = mirror
    monkeypatch.setenv(MIRROR_VARIABLE, folder.as_uri())
    fetch([], tmp_path, report=lambda _: None)
    children = read_domain(tmp_path / "chest_xray" / "demo_children")
    assert len(children) == sum(SIZES.values()) and not children.spec.is_synthetic
    assert children.manifest["given_split"].value_counts().to_dict() == {"train": 9, "valid": 5, "test": 7}
    assert children.manifest["label"].tolist() == [row % 2 for size in SIZES.values() for row in range(size)]
    for name in DEMO_DOMAINS:
        for file in iterate_archive(archive_path(tmp_path / "chest_xray" / name, "initial")):
            split, row = file.file.removeprefix("initial/").removesuffix(".png").split("_")
            pixels = np.asarray(Image.open(io.BytesIO(file.raw)))
            np.testing.assert_array_equal(pixels, arrays[name][f"{split}_images"][int(row)])


def test_adults_of_the_archive_are_capped_and_leave_other_findings_out(tmp_path, mirror, monkeypatch):
    monkeypatch.setenv(MIRROR_VARIABLE, str(mirror[0]))
    fetch(["demo_adults"], tmp_path, report=lambda _: None)
    adults = read_domain(tmp_path / "chest_xray" / "demo_adults")
    rows = adults.columns["file"].str.extract(r"_(\d+)\.png")[0].astype(int).to_numpy()
    assert adults.manifest["given_split"].value_counts().to_dict() == {"train": 4, "valid": 3, "test": 4}
    assert not (rows % 4 == 2).any()  # an effusion alone
    np.testing.assert_array_equal(adults.manifest["label"], (rows % 4 != 0).astype(float))


def test_diseased_or_not_is_nan_for_other_findings_only():
    state = diseased_or_not(adult_labels(4), (3, 6, 8))
    np.testing.assert_array_equal(state, [0, 1, np.nan, 1])


def test_damaged_file_of_the_mirror_is_refused_and_not_replaced_by_a_synthetic_one(tmp_path, mirror, monkeypatch):
    path = mirror[0] / medmnist.FILES["demo_children"].file_name
    path.write_bytes(path.read_bytes()[:-1])
    monkeypatch.setenv(MIRROR_VARIABLE, str(mirror[0]))
    with pytest.raises(VerificationError, match="MD5"):
        fetch([], tmp_path, report=lambda _: None)
    assert not (tmp_path / "chest_xray").exists()


def test_no_run_mixes_real_and_synthetic_hospitals(tmp_path, mirror, monkeypatch, small_hospitals):
    monkeypatch.setenv(MIRROR_VARIABLE, str(mirror[0]))
    fetch(["demo_children"], tmp_path / "real", report=lambda _: None)
    monkeypatch.delenv(MIRROR_VARIABLE)
    with pytest.raises(OfflineError, match="demo_children"):
        fetch(["demo_adults"], tmp_path / "real", report=lambda _: None)
    fetch(["demo_children"], tmp_path / "drawn", report=lambda _: None)
    monkeypatch.setenv(MIRROR_VARIABLE, str(mirror[0]))
    fetch([], tmp_path / "drawn", report=lambda _: None)
    assert read_domain(tmp_path / "drawn" / "chest_xray" / "demo_adults").spec.is_synthetic


def test_unknown_name_and_a_foreign_folder_are_refused(tmp_path, small_hospitals):
    with pytest.raises(BadParamsError, match="demo_adults"):
        fetch(["demo_adult"], tmp_path)
    fetch(["demo_adults"], tmp_path, report=lambda _: None)
    path = tmp_path / "chest_xray" / "demo_adults" / "domain.yaml"
    path.write_text(path.read_text().replace("is_synthetic: true", "is_synthetic: false"))
    with pytest.raises(BadInputError, match="another domain"):
        fetch(["demo_adults"], tmp_path)


def test_download_goes_on_where_it_stopped_and_is_kept(tmp_path, mirror, server, monkeypatch):
    monkeypatch.delenv(OFFLINE_VARIABLE)
    monkeypatch.setenv(MIRROR_VARIABLE, server[0])
    chosen, lines = medmnist.FILES["demo_children"], []
    content = (mirror[0] / chosen.file_name).read_bytes()
    kept = tmp_path / "cache" / "archives" / chosen.md5[:16] / chosen.file_name
    kept.parent.mkdir(parents=True)
    kept.with_name(kept.name + ".part").write_bytes(content[:1000])
    assert locate(chosen.url, chosen.md5, report=lines.append).read_bytes() == content
    assert server[1] == ["bytes=1000-"] and "100%" in lines[-1]
    assert locate(chosen.url, chosen.md5) == kept and len(server[1]) == 1


def test_download_with_another_md5_leaves_nothing(tmp_path, mirror, server):
    name = medmnist.FILES["demo_children"].file_name
    with pytest.raises(VerificationError):
        download(f"{server[0]}/{name}", tmp_path / "out" / name, "0" * 32, report=lambda _: None)
    assert list((tmp_path / "out").iterdir()) == []


def test_unreachable_server_fails_within_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr("verticals.chest_xray.domains.md5_download.CONNECT_SECONDS", 0.5)
    silent = socket.create_server(("127.0.0.1", 0))  # takes connections and never answers
    started = time.monotonic()
    for url in (f"http://127.0.0.1:{silent.getsockname()[1]}/x.npz", "http://127.0.0.1:9/x.npz"):
        with pytest.raises(OfflineError, match="cannot be reached"):
            download(url, tmp_path / "x.npz", "0" * 32)
    assert time.monotonic() - started < 4
    silent.close()
