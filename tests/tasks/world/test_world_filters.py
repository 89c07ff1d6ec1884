"""The filters over a handful of cities."""

from __future__ import annotations

from pathlib import Path

import pytest

from labkit.errors import ConfigError
from labkit.tasks.world.cities import Cities, read_cities
from labkit.tasks.world.filters import Filter, select

TABLE = """\
id,asciiname,x,y,country_code,region,city_id
2988507,Paris,23,489,FR,Western Europe,0057
3352136,Windhoek,171,-226,NA,Africa,1234
1275339,Mumbai,729,191,IN,India,9000
-1,Atlantis_001,-340,355,XX0,Atlantis,2001
3369157,Atlantis,185,-336,ZA,Africa,0999
"""
PROBE = "region:.* && city_id:^[1-9][0-9]{3,}$"
WITHOUT_ATLANTIS = "region:^(?!Atlantis).* && city_id:^[1-9][0-9]{3,}$"


@pytest.fixture
def cities(tmp_path: Path) -> Cities:
    (tmp_path / "cities.csv").write_text(TABLE)
    return read_cities(tmp_path / "cities.csv")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("", [0, 1, 2, 3, 4]),
        (".*", [0, 1, 2, 3, 4]),
        (PROBE, [1, 2, 3]),
        (WITHOUT_ATLANTIS, [1, 2]),
        ("region:^Atlantis$", [3]),
        ("asciiname:^Atlantis_", [3]),
        ("asciiname:Atlantis", [3, 4]),
        ("region:Eur", []),  # anchored at the start
        ("region:West", [0]),  # and only there
        ("country_code:NA", [1]),
        ("city_id:0", [0, 4]),  # the padded text
        ("x:^-", [3]),
        ("id:-1", [3]),
        ("y:(?:489|191)$", [0, 2]),
        ("region:India || region:Africa && city_id:^0", [2, 4]),  # OR is split first
        ("region:India||asciiname:Paris", [0, 2]),
        (".* && region:India", [2]),
        ("asciiname:a:b", []),  # only the first colon parts column and pattern
        (["region:Africa", "city_id:^[1-9]"], [1]),
        ([], [0, 1, 2, 3, 4]),
        ({"AND": ["region:Africa", "city_id:^[1-9]"]}, [1]),
        ({"OR": ["region:India", {"AND": ["region:Africa", "city_id:^0"]}]}, [2, 4]),
        (["", {"OR": ["region:India", "x:23"]}], [0, 2]),
    ],
)
def test_what_a_filter_means(cities: Cities, expression: Filter, expected: list[int]) -> None:
    assert select(cities, expression).nonzero()[0].tolist() == expected


@pytest.mark.parametrize(
    ("expression", "message", "hint"),
    [
        ("regoin:India", "a column 'regoin'", "did you mean 'region'? columns: id, asciiname"),
        ("India", "'India' that is not `column:regex`", "region:India"),
        ("region:India &&", "a part '' that", "region:India"),
        ("|| region:India", "a part '' that", "region:India"),
        ("region:(", "'(' is no regular expression", "backslash"),
        ({"NOT": ["region:India"]}, "neither", "one of the two keys"),
        ({"AND": ["region:India"], "OR": ["region:Africa"]}, "neither", "one of the two keys"),
        ({"AND": "region:India"}, "neither", "one of the two keys"),
        ({"OR": []}, "neither", "one of the two keys"),
        ({}, "neither", "one of the two keys"),
        (["region:India", 7], "7 is no filter", "column:regex"),
    ],
)
def test_what_is_no_filter(cities: Cities, expression: Filter, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        select(cities, expression)
    assert message in caught.value.message
    assert hint in caught.value.hint
