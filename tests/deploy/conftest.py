import pytest

from tests.deploy import images
from tests.needs import missing


def _require_containers() -> None:
    """What is not installed is missing; what the kernel forbids no installation brings, so that is skipped everywhere."""
    if reason := images.lacking():
        missing(reason)
    if reason := images.forbidden():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def image() -> str:
    """The image of this tree."""
    _require_containers()
    return images.image()


@pytest.fixture(scope="session")
def booted_image() -> str:
    """The same with systemd as its first process."""
    _require_containers()
    return images.booted_image()
