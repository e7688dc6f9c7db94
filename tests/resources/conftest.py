"""A web server for what is told to people and catalogues."""

import threading
from collections.abc import Iterator

import pytest
from webhook import Webhook


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
