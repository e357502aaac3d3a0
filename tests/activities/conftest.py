from collections.abc import Generator

import pytest

from tests.activities.object_server import careless_server, object_server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The address of a real S3 server, one for all tests of a process."""
    with object_server(tmp_path_factory.mktemp("s3") / "log") as address:
        yield address


@pytest.fixture(scope="session")
def careless_s3(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The address of a real S3 server that writes over whatever stands there."""
    folder = tmp_path_factory.mktemp("rclone")
    with careless_server(folder / "data", folder / "log") as address:
        yield address
