"""One Chromium for the pages of a test session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from explored_runs import Chromium


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    browser = Chromium()
    yield browser
    browser.close()
