"""Which runs these tables are about, and their kinds, for those who ask before anything heavy is imported."""

from __future__ import annotations

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
