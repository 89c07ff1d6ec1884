"""One Chromium for the pages of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from explored_runs import Chromium


@pytest.fixture(scope="module")  # while it is there, an event loop runs in this thread
def chromium() -> Iterator[Chromium]:
    browser = Chromium()
    yield browser
    browser.close()
