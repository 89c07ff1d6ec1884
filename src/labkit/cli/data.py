"""`labkit data`: build the data sets of a world of cities, or word problems, and list data sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labkit.cli.flags import Asked, Flag, add_command
from labkit.cli.report import Csv, Json, Verbose

if TYPE_CHECKING:
    from labkit.report.table import Cell, Table
    from labkit.tasks.world.building import World
    from labkit.tasks.world.manifest import Manifest

FLAGS = [
    Flag("--out", "out", Path, "Folder of the world, or of the word problems.  [data/world]"),
    Flag("--only", "only", str, "Build this data set and what it is made from; repeatable.", repeatable=True),
    Flag("--seed", "seed", int, "Seed of the rows.  [42]"),
]
CONFIG = Annotated[Path | None, typer.Argument(metavar="CONFIG", help="YAML config, or the name of a shipped one.")]
DEFAULT_WORLD = Path("data/world")

BUILD_HELP = """Build the data sets of a world of cities, or word problems.

CONFIG says which cities, tasks and sizes: `labkit data build templates/exp1-tiny-data.yaml` makes a small world in seconds,
`labkit data build templates/word-problems-data.yaml` word problems in GSM8K's form.
A build that was stopped goes on when it is run again: finished data sets stay. One that was built from another recipe is
never overwritten. --debug is a world of 72 cities beside the real one.
"""

_COLUMNS = ("data_set", "tasks", "train", "validation", "test", "overlap", "repeats", "mb")
_STATES = {"absent": "to build", "finished": "finished", "different": "of another recipe", "foreign": "not labkit's"}
_EXPENDABLE = ("repeats", "mb", "validation")


def register(app: typer.Typer) -> None:
    data = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    add_command(
        data, "build", FLAGS, _build, help=BUILD_HELP, without=("config", "resume"), argument=("config_path", CONFIG)
    )
    data.command("list", help="List the data sets of a world, with their rows.")(_list)
    app.add_typer(data, name="data", help="Build and list data sets: worlds of cities, word problems.")


def _build(asked: Asked) -> None:
    from dataclasses import replace

    from labkit.cli.console import say
    from labkit.cli.layers import resolve_asked
    from labkit.config.data import DataConfig
    from labkit.config.templates import find_template
    from labkit.errors import ConfigError

    values = dict(asked.values)
    named = values.pop("config_path")
    if named is None:
        raise ConfigError("labkit data build needs a config", "labkit data build templates/exp1-tiny-data.yaml")
    asked = replace(asked, values=values, config=find_template(named))
    config = resolve_asked(DataConfig, asked, debug=_debug).config
    if config.word_problems is not None:
        _build_word_problems(config, asked)
        return
    say("making the cities")
    from labkit.cli.data_progress import DataProgress
    from labkit.tasks.world.building import build_world, check_world, plan_world

    world = plan_world(config, say)
    if asked.dry_run:
        _print(_plan_table(world), as_json=asked.json)
        say("Nothing was written.")
        check_world(world)  # a build would refuse as well
        return
    with DataProgress() as progress:
        built = build_world(world, progress)
    _print(_table(str(config.out), built), as_json=asked.json)
    say(f"data sets in {config.out}")


def _build_word_problems(config: Any, asked: Asked) -> None:
    from labkit.cli.console import say
    from labkit.report.table import Table
    from labkit.tasks.gsm8k.building import build_word_problems, check_word_problems, plan_word_problems

    files = plan_word_problems(config)
    rows: list[dict[str, Cell]] = [
        {
            "file": str(file.path),
            "problems": file.num_problems,
            "mb": _megabytes(len(file.content)),
            "state": _STATES[file.state],
        }
        for file in files
    ]
    if asked.dry_run:
        _print(Table("data", f"word problems for {config.out}", tuple(rows[0]), rows), as_json=asked.json)
        say("Nothing was written.")
        check_word_problems(files)  # a build would refuse as well
        return
    build_word_problems(files, say)
    built = [row | {"state": _STATES["finished"]} for row in rows]
    _print(Table("data", f"word problems in {config.out}", tuple(rows[0]), built), as_json=asked.json)


def _list(
    world: Annotated[Path, typer.Argument(metavar="[DIR]", help="Folder of the world.")] = DEFAULT_WORLD,
    as_json: Json = False,
    as_csv: Csv = False,
    verbose: Verbose = False,
) -> None:
    from labkit.cli.console import say
    from labkit.errors import InputError
    from labkit.report.render import chosen_format, print_tables
    from labkit.tasks.world.manifest import data_set_folders

    format = chosen_format(json=as_json, csv=as_csv)
    if not world.is_dir():
        raise InputError(f"there is no folder {world}", "labkit data build CONFIG --out makes one")
    table = _listed(world, data_set_folders(world))
    if not table.rows and format is None:
        for note in table.notes:
            say(f"note: {note}")
        say(f"there are no data sets in {world}; labkit data build makes some")
        return
    print_tables([table], format=format)


def _debug(config: Any) -> dict[str, Any]:
    """The small preset: 60 real cities, 12 of Atlantis, a few hundred rows, or as many word problems; in a folder of its own."""
    if config.word_problems is not None:
        return {"out": f"{config.out}-debug", "word_problems": {"train": 400, "validation": 16, "test": 64}}
    small: dict[str, Any] = {
        "out": f"{config.out}-debug",
        "cities.num_cities": 60,
        "cities.atlantis.num_cities": 12,
        "cities.num_ids": 1000,
        "cities.id_digits": 3,
    }
    for part, train in (("ordinary", 400), ("atlantis", 200), ("anywhere", 400)):
        if getattr(config, part) is not None:
            small |= {f"{part}.train": train, f"{part}.validation": 16, f"{part}.test": 64}
    if config.mixture is not None:
        small |= {"mixture.ordinary": 100, "mixture.atlantis": 100, "mixture.reminders": 8}
    return small


def _print(table: Table, *, as_json: bool) -> None:
    from labkit.report.render import print_tables

    print_tables([table], format="json" if as_json else None)


def _plan_table(world: World) -> Table:
    """What a build would make, and what is there."""
    from labkit.report.table import Table
    from labkit.tasks.world.building import state_of
    from labkit.tasks.world.recipes import estimated_bytes

    rows: list[dict[str, Cell]] = []
    for name, planned in world.wanted.items():
        about = {"data_set": name, "tasks": _tasks_text(planned.tasks), "state": _STATES[state_of(world, planned)]}
        rows.append({**about, **_sizes(planned.sizes), "mb": _megabytes(estimated_bytes(planned, world.plan))})
    to_build = [row for row in rows if row["state"] == "to build"]
    total = sum(float(row["mb"] or 0) for row in to_build)
    columns = ("data_set", "tasks", "train", "validation", "test", "mb", "state")
    notes = [f"{len(to_build)} of {len(rows)} data sets are to be built, about {total:,.0f} MB"]
    return Table("data", f"data sets for {world.config.out}", columns, rows, notes, expendable=("validation",))


def _listed(world: Path, folders: Iterable[Path]) -> Table:
    from labkit.errors import LabkitError
    from labkit.tasks.world.manifest import read_manifest

    manifests, notes = [], []
    for folder in folders:
        try:
            manifests.append(read_manifest(folder))
        except LabkitError as error:
            notes.append(f"{folder.name} was left out: {error.message}")
    table = _table(str(world), manifests)
    table.notes.extend(notes)
    return table


def _table(world: str, manifests: Iterable[Manifest]) -> Table:
    """Finished data sets beside each other."""
    from labkit.report.table import Table
    from labkit.tasks.world.vocabulary import vocabulary_digest

    digest = vocabulary_digest()
    rows = [_row(manifest) | {"tokenizer_ok": manifest.tokenizer == digest} for manifest in manifests]
    notes = [
        "overlap: rows of test and validation that ask the same question as a training row",
        "repeats: training rows that ask the same question as an earlier one",
    ]
    if not all(row["tokenizer_ok"] for row in rows):
        notes.append("tokenizer_ok: no, where its rows were written for another vocabulary than this labkit's")
    return Table(
        "data",
        f"data sets in {world}",
        (*_COLUMNS, "tokenizer_ok"),
        rows,
        notes if rows else [],
        expendable=_EXPENDABLE,
    )


def _row(manifest: Manifest) -> dict[str, Cell]:
    splits = manifest.splits
    size = sum(path.stat().st_size for path in manifest.path.rglob("*") if path.is_file())
    return {
        "data_set": manifest.name,
        "tasks": _tasks_text(manifest.tasks),
        **_sizes({name: split.num_rows for name, split in splits.items()}),
        "overlap": sum(split.overlap for split in splits.values()),
        "repeats": splits["train"].repeats if "train" in splits else None,
        "mb": _megabytes(size),
    }


def _sizes(sizes: Mapping[str, int]) -> dict[str, Cell]:
    return {split: sizes.get(split, 0) for split in ("train", "validation", "test")}


def _tasks_text(tasks: Iterable[str]) -> str:
    return ", ".join(tasks)


def _megabytes(num_bytes: int) -> float:
    return round(num_bytes / 1e6, 1)
