"""Which runs these tables are about, and their kinds, for those who ask before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Sequence

from labkit.errors import ConfigError
from labkit.record.run import Run
from labkit.report.naming import config_value

RATES_KIND = "dbdk"
CATEGORY_KIND = "dbdk_category"
ITEMS_KIND = "dbdk_items"
COMPARISON_KIND = "dbdk_comparison"
ITEM_TESTS_KIND = "dbdk_item_tests"

KINDS = (RATES_KIND, CATEGORY_KIND, ITEMS_KIND, COMPARISON_KIND, ITEM_TESTS_KIND)
DETAILS = (CATEGORY_KIND, ITEMS_KIND, ITEM_TESTS_KIND)
"""Long ones, which a terminal and an overview show only where they are asked for by name."""


def is_goodhart_run(run: Run) -> bool:
    """Whether a run asked Goodhart items."""
    return bool(config_value(run.manifest, "config.task.name") == "goodhart")


def refuse_unused_options(found: Sequence[Run], without: Sequence[str]) -> None:
    """Raise ConfigError for items to leave out where there are no Goodhart runs, of which `found` would be a list."""
    if without and not found:
        raise ConfigError("--without leaves out items of goodhart runs, and there are none here", "leave it out")
