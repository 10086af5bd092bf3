"""What every test shares."""

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "here", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("here")


@pytest.fixture
def anyio_backend() -> str:
    """The one event loop this project runs on."""
    return "asyncio"
