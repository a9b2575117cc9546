"""Every test runs on one thread and with a cache folder of its own; a developer's cache is neither read nor filled."""

import os

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
