import pytest

from tests.unit.kinds.worlds import KindWorld


@pytest.fixture
def world() -> KindWorld:
    return KindWorld()
