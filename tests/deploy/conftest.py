import pytest

from tests.deploy import images
from tests.needs import missing


@pytest.fixture(scope="session")
def image() -> str:
    """The image of this tree."""
    if reason := images.lacking():
        missing(reason)
    return images.image()


@pytest.fixture(scope="session")
def booted_image() -> str:
    """The same with systemd as its first process."""
    if reason := images.lacking():
        missing(reason)
    return images.booted_image()
