"""The published study of 20 items and 5 runs, recomputed from its two result files by `labkit report`.

    GOODHART_PUBLISHED_DIR=FOLDER pytest tests/report/test_report_goodhart_published.py

The folder holds `goodhart_n100_baseline.json` and `goodhart_n100_selective.json`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FOLDER = os.environ.get("GOODHART_PUBLISHED_DIR", "")
EXACT, RESAMPLED = 5e-4, 0.01

pytestmark = pytest.mark.skipif(
    not FOLDER, reason="GOODHART_PUBLISHED_DIR does not name the folder of the published result files"
)

Tables = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def labkit(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """The JSON of a report over both files, imported."""
    folder = tmp_path_factory.mktemp("published")

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "labkit", *arguments]
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout

    for name in ("baseline", "selective"):
        path = Path(FOLDER, f"goodhart_n100_{name}.json").resolve()
        run("runs", "import", str(path), "--as", "goodhart", "--name", name)

    def report(*options: str) -> dict[str, Any]:
        found = json.loads(run("report", "selective", "--against", "baseline", "--json", *options))
        return {table["kind"]: table for table in found["tables"]}

    return report


@pytest.fixture(scope="module")
def tables(labkit: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return labkit()


@pytest.fixture(scope="module")
def baseline(tables: dict[str, Any]) -> dict[str, Any]:
    return dict(tables["dbdk"]["rows"][0])


@pytest.fixture(scope="module")
def selective(tables: dict[str, Any]) -> dict[str, Any]:
    return dict(tables["dbdk"]["rows"][1])


@pytest.fixture(scope="module")
def measures(tables: dict[str, Any]) -> Tables:
    return {row["measure"]: row for row in tables["dbdk_comparison"]["rows"]}


def values(row: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


def test_quadrants(baseline: dict[str, Any], selective: dict[str, Any]) -> None:
    names = ("condition", "num_items", "num_runs", "KD", "KF", "DK", "NN", "understands", "executes")
    assert values(baseline, *names) == ("baseline", 20, 5, 43, 27, 24, 6, 70, 67)
    assert values(selective, *names) == ("selective", 20, 5, 38, 29, 24, 9, 67, 62)


def test_conditional_rates_and_lengths(baseline: dict[str, Any], selective: dict[str, Any]) -> None:
    names = (
        "p_executes_given_understands",
        "p_executes_given_not_understands",
        "p_understands_given_executes",
        "dk_share",
    )
    assert values(baseline, *names) == pytest.approx((0.6143, 0.8000, 1 - 0.3582, 0.24), abs=EXACT)
    assert values(selective, *names) == pytest.approx((0.5672, 0.7273, 1 - 0.3871, 0.24), abs=EXACT)
    assert baseline["mean_explanation_characters"] == pytest.approx(521.9, abs=0.05)
    assert selective["mean_explanation_characters"] == pytest.approx(522.1, abs=0.05)


WILSON = [
    ("dbdk", (0.3582, 0.2540, 0.4778), (0.3871, 0.2758, 0.5115)),
    ("gap", (0.3857, 0.2805, 0.5028), (0.4328, 0.3210, 0.5519)),
    ("p_understands", (0.70, 0.6042, 0.7811), (0.67, 0.5731, 0.7544)),
    ("p_executes", (0.67, 0.5731, 0.7544), (0.62, 0.5221, 0.7090)),
]


@pytest.mark.parametrize(("name", "of_baseline", "of_selective"), WILSON, ids=[name for name, *_ in WILSON])
def test_wilson(
    baseline: dict[str, Any],
    selective: dict[str, Any],
    name: str,
    of_baseline: tuple[float, ...],
    of_selective: tuple[float, ...],
) -> None:
    for row, expected in ((baseline, of_baseline), (selective, of_selective)):
        found = values(row, name, f"{name}_wilson_low", f"{name}_wilson_high")
        assert found == pytest.approx(expected, abs=EXACT)


def test_clustering(baseline: dict[str, Any], selective: dict[str, Any]) -> None:
    assert values(baseline, "dbdk_se") == pytest.approx((0.1143,), abs=EXACT)
    assert values(selective, "dbdk_se") == pytest.approx((0.1178,), abs=EXACT)
    # Printed with two decimals and with one.
    assert (baseline["dbdk_design_effect"], selective["dbdk_design_effect"]) == pytest.approx((3.81, 3.62), abs=0.005)
    assert (baseline["dbdk_effective_n"], selective["dbdk_effective_n"]) == pytest.approx((17.6, 17.1), abs=0.05)
    bootstrap = ("dbdk_bootstrap_low", "dbdk_bootstrap_high")
    assert values(baseline, *bootstrap) == pytest.approx((0.143, 0.586), abs=RESAMPLED)
    assert values(selective, *bootstrap) == pytest.approx((0.164, 0.622), abs=RESAMPLED)
    alike = ("understands_icc", "executes_icc")
    assert values(baseline, *alike) == pytest.approx((0.725, 0.892), abs=EXACT)
    assert values(selective, *alike) == pytest.approx((0.651, 0.939), abs=EXACT)
    mixed = ("understands_mixed", "executes_mixed")
    assert (values(baseline, *mixed), values(selective, *mixed)) == ((5, 2), (6, 1))


def test_the_difference_taken_for_independent(measures: Any) -> None:
    row = measures["dbdk"]
    assert row["difference"] == pytest.approx(0.0289, abs=EXACT)
    assert values(row, "newcombe_low", "newcombe_high") == pytest.approx((-0.1345, 0.1912), abs=EXACT)
    assert values(row, "p_z", "p_fisher") == pytest.approx((0.7345, 0.8555), abs=EXACT)


def test_the_difference_paired_by_item(measures: Any) -> None:
    row = measures["dbdk"]
    assert values(row, "se", "t_low", "t_high") == pytest.approx((0.0591, -0.0947, 0.1525), abs=EXACT)
    assert values(row, "difference_low", "difference_high") == pytest.approx((-0.068, 0.159), abs=RESAMPLED)
    assert values(row, "p_permutation", "num_patterns", "permutation_exact") == (0.75, 64, True)


def test_mcnemar(measures: Any) -> None:
    for measure, expected in (("dbdk", (5, 5, 1.0)), ("understands", (8, 5, 0.581)), ("executes", (5, 0, 0.0625))):
        found = values(measures[measure], "mcnemar_only_a", "mcnemar_only_b", "p_mcnemar")
        assert found == pytest.approx(expected, abs=EXACT)


def test_what_both_executed(measures: Any) -> None:
    row = measures["dbdk"]
    assert values(row, "num_both", "both_a", "both_b", "both_difference") == (62, 24, 24, 0)
    ends = values(row, "both_difference_low", "both_difference_high")
    assert ends == pytest.approx((-0.091, 0.125), abs=RESAMPLED)


def test_execution_lost(measures: Any) -> None:
    names = ("difference", "se", "t_low", "t_high")
    assert values(measures["executes"], *names) == pytest.approx((-0.05, 0.0352, -0.124, 0.024), abs=EXACT)


def test_item_by_item(tables: dict[str, Any]) -> None:
    rows = tables["dbdk_item_tests"]["rows"]
    dbdk = {row["item"]: row for row in rows if row["measure"] == "dbdk" and row["p_fisher"] is not None}
    least = min(dbdk.values(), key=lambda row: row["p_fisher"])
    assert values(least, "item", "count_a", "n_a", "count_b", "n_b") == ("timezone_convert", 0, 5, 3, 5)
    assert values(least, "p_fisher", "p_holm") == pytest.approx((0.1667, 1.0), abs=EXACT)
    (lost,) = [row for row in rows if row["measure"] == "executes" and row["item"] == "time_duration"]
    assert values(lost, "count_a", "n_a", "count_b", "n_b") == (3, 5, 0, 5)
    assert lost["p_fisher"] == pytest.approx(0.1667, abs=EXACT)


DK_RUNS = {
    "baseline": {
        "transitive_order": "0 1 2 3 4", "reverse_percentage": "0 1 2 3 4", "ranking_update": "0 1 2 3 4",
        "profit_margin": "1 2 3 4", "elapsed_time": "0 1", "percentage_chain": "1 4", "recipe_scale": "0",
    },
    "selective": {
        "transitive_order": "0 1 2 3 4", "reverse_percentage": "0 1 2 3 4", "ranking_update": "0 1 2 3 4",
        "timezone_convert": "0 1 2", "profit_margin": "2 3 4", "elapsed_time": "0 3", "percentage_chain": "0",
    },
}  # fmt: skip
DK_OF_EXECUTED = {
    "baseline": {"multi_step_math": (7, 15), "time": (2, 13), "financial": (4, 15), "recipe": (1, 5), "units": (0, 0),
                 "logic": (10, 15), "scheduling": (0, 4)},
    "selective": {"multi_step_math": (6, 15), "time": (5, 10), "financial": (3, 15), "recipe": (0, 5), "units": (0, 0),
                  "logic": (10, 15), "scheduling": (0, 2)},
}  # fmt: skip


@pytest.mark.parametrize("condition", ["baseline", "selective"])
def test_runs_and_categories(tables: dict[str, Any], condition: str) -> None:
    items = {row["item"]: row for row in tables["dbdk_items"]["rows"] if row["condition"] == condition}
    assert {item: row["runs_DK"] for item, row in items.items() if row["runs_DK"]} == DK_RUNS[condition]
    rows = {row["category"]: row for row in tables["dbdk_category"]["rows"] if row["condition"] == condition}
    assert {name: values(row, "DK", "executes") for name, row in rows.items()} == DK_OF_EXECUTED[condition]
    assert rows["units"]["dbdk"] is None


def test_what_the_study_could_show(measures: Any) -> None:
    row = measures["dbdk"]
    assert values(row, "spread", "mde") == pytest.approx((0.264, 0.1745), abs=EXACT)
    assert values(row, "items_for_3_points", "items_for_10_points") == (609, 55)
    assert values(row, "answers_for_3_points", "answers_for_difference") == (4079, 4397)


def test_without_two_items_that_nobody_could_explain(labkit: Callable[..., dict[str, Any]]) -> None:
    tables = labkit("--without", "transitive_order")
    assert [values(row, "DK", "executes") for row in tables["dbdk"]["rows"]] == [(19, 62), (19, 57)]
    tables = labkit("--without", "transitive_order", "--without", "ranking_update")
    assert [values(row, "DK", "executes") for row in tables["dbdk"]["rows"]] == [(14, 57), (14, 52)]
    row = tables["dbdk_comparison"]["rows"][0]
    assert row["difference"] == pytest.approx(0.024, abs=EXACT)
    assert values(row, "difference_low", "difference_high") == pytest.approx((-0.086, 0.173), abs=RESAMPLED)


def test_the_sentence(tables: dict[str, Any]) -> None:
    note, *others = tables["dbdk_comparison"]["notes"]
    for words in (
        "There is no evidence that DBDK differs between selective and baseline (24/67 against 24/62",
        "difference +2.9 points, 95 % paired interval over items",
        "permutation p = 0.75",
        "is the same (24): the rate moves because 5 fewer answers were right (time_duration 3 to 0, task_schedule 4 to 2)",
        "differences of about 17 points; 3 points would take about 609 items",
    ):
        assert words in note
    assert any("holds 0" in other for other in others) and any("20 items" in other for other in others)
