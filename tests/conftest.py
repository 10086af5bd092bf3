"""What every test shares."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The one event loop this project runs on."""
    return "asyncio"
