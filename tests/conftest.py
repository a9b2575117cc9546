"""Every test runs on one thread and with a cache folder of its own; a developer's cache is neither read nor filled."""

import os
import sys

import pytest

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):  # read when NumPy is first imported
    os.environ.setdefault(variable, "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session", autouse=True)
def cache_folder_of_the_tests(tmp_path_factory):
    """`CROSSDOMAIN_CACHE`, also for the processes that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CROSSDOMAIN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def full_run(tmp_path_factory):
    """A project folder with whole small runs of all verticals, committed; not to be changed."""
    from small_run import commit_all, write_small_run

    root = write_small_run(tmp_path_factory.mktemp("full_run"))
    commit_all(root, "first run")
    return root


@pytest.fixture(scope="session")
def market_run(tmp_path_factory):
    """A project folder with a whole small run of market_risk; not to be changed."""
    pytest.importorskip("arch", reason="the extra `market` is not installed")
    from small_markets import write_market_run

    return write_market_run(tmp_path_factory.mktemp("markets"))


@pytest.fixture
def own_run(full_run, tmp_path):
    """A copy of `full_run` that a test may change."""
    import shutil

    return shutil.copytree(full_run, tmp_path / "project")


@pytest.fixture(autouse=True)
def no_store_from_outside(monkeypatch):
    """Labels, proposals and users of tests are kept below the test's own project."""
    for name in ("CROSSDOMAIN_STORE", "CROSSDOMAIN_USERS", "CROSSDOMAIN_PROXY_USER_HEADER", "CROSSDOMAIN_ROOT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def main_module_is_kept():
    """Streamlit puts its script in the place of `__main__`, which a process that is spawned later would run."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main
