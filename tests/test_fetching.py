import hashlib
import http.server
import pickle
import threading
import time

import pandas as pd
import pytest

from core.data.fetching import (
    MIRROR_VARIABLE,
    download,
    locate_package_file,
    read_pinned_pickle,
    verify_sha256,
)
from core.errors import MissingArtifactError, OfflineError, VerificationError

CONTENT = b"a,b\n1,2\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def mirror(tmp_path):
    folder = tmp_path / "mirror"
    (folder / "no-such-package" / "data").mkdir(parents=True)
    (folder / "no-such-package" / "data" / "rows.csv").write_bytes(CONTENT)
    return folder


@pytest.fixture
def server(mirror):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(mirror))

        def do_GET(self):
            if self.path.endswith("slow"):
                time.sleep(3)
            super().do_GET()

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_verify_names_both_checksums_when_they_differ(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(CONTENT)
    assert verify_sha256(path, SHA256) == path
    with pytest.raises(VerificationError, match=SHA256[:16]):
        verify_sha256(path, "0" * 64)


def test_missing_package_without_a_mirror_says_how_to_install_it(monkeypatch):
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    with pytest.raises(MissingArtifactError, match=r"pip install 'crossdomain\[demo\]'"):
        locate_package_file("no-such-package", "data/rows.csv", SHA256)


def test_installed_file_is_found_without_importing_its_package(monkeypatch):
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    import importlib.metadata

    path = importlib.metadata.distribution("pytest").locate_file("pytest/__init__.py")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert locate_package_file("pytest", "pytest/__init__.py", sha256).read_bytes() == path.read_bytes()
    with pytest.raises(VerificationError):
        locate_package_file("pytest", "pytest/__init__.py", "0" * 64)


def test_mirror_folder_stands_in_for_the_package(monkeypatch, mirror):
    monkeypatch.setenv(MIRROR_VARIABLE, str(mirror))
    assert locate_package_file("no-such-package", "data/rows.csv", SHA256).read_bytes() == CONTENT
    with pytest.raises(VerificationError):
        locate_package_file("no-such-package", "data/rows.csv", "0" * 64)
    with pytest.raises(MissingArtifactError):
        locate_package_file("no-such-package", "data/other.csv", SHA256)


def test_mirror_url_is_downloaded_once_and_verified(monkeypatch, server, tmp_path):
    monkeypatch.setenv(MIRROR_VARIABLE, server)
    cache = tmp_path / "cache"
    path = locate_package_file("no-such-package", "data/rows.csv", SHA256, cache=cache)
    assert path.read_bytes() == CONTENT
    modified = path.stat().st_mtime_ns
    assert locate_package_file("no-such-package", "data/rows.csv", SHA256, cache=cache).stat().st_mtime_ns == modified


def test_download_with_a_wrong_checksum_leaves_nothing(server, tmp_path):
    destination = tmp_path / "out" / "rows.csv"
    with pytest.raises(VerificationError):
        download(f"{server}/no-such-package/data/rows.csv", destination, "0" * 64)
    assert list(destination.parent.iterdir()) == []


def test_download_that_fails_is_an_error_and_does_not_hang(server, tmp_path):
    with pytest.raises(MissingArtifactError, match="not there"):
        download(f"{server}/nothing", tmp_path / "x", SHA256)
    started = time.monotonic()
    with pytest.raises(OfflineError, match="cannot be reached"):
        download(f"{server}/slow", tmp_path / "x", SHA256, timeout_seconds=0.3)
    with pytest.raises(OfflineError, match="CROSSDOMAIN_MIRROR"):
        download("http://127.0.0.1:9/rows.csv", tmp_path / "x", SHA256, timeout_seconds=0.3)
    assert time.monotonic() - started < 3


def test_pickle_is_not_opened_unless_its_bytes_are_the_pinned_ones(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pathlib_touch, (str(tmp_path / "ran"),))

    path = tmp_path / "trap.pkl.compress"
    import lzma

    path.write_bytes(lzma.compress(pickle.dumps(Trap())))
    with pytest.raises(VerificationError, match="not opened"):
        read_pinned_pickle(path, "0" * 64)
    assert not (tmp_path / "ran").exists()


def pathlib_touch(path):
    with open(path, "w"):  # noqa: PTH123
        pass


def test_pinned_pickle_gives_its_frame(tmp_path):
    frame = pd.DataFrame({"a": [1, 2]})
    path = tmp_path / "frame.pkl.compress"
    frame.to_pickle(path, compression="xz")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    pd.testing.assert_frame_equal(read_pinned_pickle(path, sha256), frame)
