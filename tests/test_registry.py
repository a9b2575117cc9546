import pytest

from core.errors import BadParamsError
from core.registry import Registry


def test_registry_registered_entry_is_found_by_name():
    registry = Registry("learner")

    @registry.register("ridge")
    class Ridge: ...

    assert registry["ridge"] is Ridge
    assert registry.name_of(Ridge) == "ridge"
    assert list(registry) == ["ridge"]


def test_registry_unknown_name_offers_the_nearest():
    registry = Registry("learner")
    registry.register("boosted_trees")(object)
    with pytest.raises(BadParamsError, match="Did you mean 'boosted_trees'"):
        registry["bosted_trees"]


def test_registry_same_name_twice_is_refused():
    registry = Registry("learner")
    registry.register("ridge")(object)
    with pytest.raises(ValueError, match="registered twice"):
        registry.register("ridge")
