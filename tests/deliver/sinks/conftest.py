"""An HTTP server for one test."""

from collections.abc import Iterator

import pytest

from tests.deliver.sinks.parts import Server


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()
