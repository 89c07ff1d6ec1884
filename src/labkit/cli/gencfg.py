"""`labkit gencfg`: expand a matrix into validated configs and scripts, and keep what is on disk current."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labkit.cli.report import Json, Verbose

if TYPE_CHECKING:
    from labkit.gencfg.generate import Generated
    from labkit.gencfg.matrix import MatrixFile
    from labkit.gencfg.plan import Plan, State
    from labkit.report.table import Cell, Table

MATRIX = Annotated[
    str | None,
    typer.Argument(metavar="MATRIX", help="A matrix file, or the name of a shipped one.", show_default=False),
]
Out = Annotated[Path, typer.Option("--out", help="Folder below which the paths of the matrix stand.")]
With = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="SECTION", help="Switch on an optional section; repeatable.", show_default=False),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="SECTION", help="Make this section only; repeatable.", show_default=False),
]
HERE = Path(".")

HELP = """Expand a matrix into configs, each checked before any is written.

`labkit gencfg exp1` writes the 1,413 configs of the world-cities experiment, and its scripts, below the current folder. Run
again it replaces what differs and touches nothing else. Files that were edited by hand, and those that the matrix makes
no more, are named and stay. `gencfg.json` says which files are labkit's.
"""


def register(app: typer.Typer) -> None:
    app.command("gencfg", help=HELP)(_gencfg)


def _gencfg(
    matrix: MATRIX = None,
    out: Out = HERE,
    extra: With = None,
    only: Only = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written; write nothing.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing, and exit 1 if anything on disk is not as the matrix says.")
    ] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove files that the matrix makes no more.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that were edited by hand, or made for another matrix.")
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the matrix file, to begin one's own from it.")] = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    from labkit.errors import ConfigError
    from labkit.gencfg.matrix import find_matrix, load_matrix, matrix_names

    if matrix is None:
        raise ConfigError("labkit gencfg needs a matrix", f"there are: {', '.join(matrix_names())}; or give a path")
    if check and (dry_run or prune or overwrite):
        raise ConfigError("--check writes nothing and decides nothing", "leave --dry-run, --prune and --overwrite out")
    path = find_matrix(matrix)
    if show:
        sys.stdout.write(path.read_text(encoding="utf-8", errors="replace"))
        return
    extra, only = extra or [], only or []
    file = load_matrix(path)
    if check and not only:
        extra = _with_those_written(file, out, extra)
    plan = _plan(file, out, extra, only, check=check, dry_run=dry_run, overwrite=overwrite, prune=prune)
    _print(plan, as_json=as_json)
    _say_missing(plan.generated, out)
    if check:
        _refuse_drift(plan, _command(matrix, out, extra, only))
        return
    _say_sum(plan, "to " if dry_run else "", overwrite=overwrite, prune=prune)
    if dry_run:
        _say("Nothing was written.")


def _plan(
    file: MatrixFile, out: Path, extra: Sequence[str], only: Sequence[str], *,
    check: bool, dry_run: bool, overwrite: bool, prune: bool,
) -> Plan:  # fmt: skip
    """Validate everything, hold it against the folder, and carry that out unless it is only looked at."""
    from labkit.gencfg.generate import generate
    from labkit.gencfg.plan import make_plan
    from labkit.gencfg.write import carry_out, locked

    generated = generate(file, extra=extra, only=only)
    if check or dry_run:
        return make_plan(generated, out, allow_foreign=check, take_over=overwrite)
    with locked(out):
        plan = make_plan(generated, out, take_over=overwrite)
        carry_out(plan, overwrite=overwrite, prune=prune)
    return plan


def _with_those_written(file: MatrixFile, out: Path, extra: list[str]) -> list[str]:
    """A check is of everything that is there, options that were on before included."""
    from labkit.gencfg.plan import optional_sections_written

    return [*extra, *(name for name in optional_sections_written(file, out) if name not in extra)]


def _say(text: str) -> None:
    from labkit.cli.console import say

    say(text)


def _print(plan: Plan, *, as_json: bool) -> None:
    from labkit.report.render import print_tables

    tables = [_sections(plan), *([_files(plan)] if as_json else [])]
    print_tables(tables, format="json" if as_json else None)


def _sections(plan: Plan) -> Table:
    """A row a section: how its number of files comes about, and their states as far as there are any."""
    from labkit.gencfg.plan import STATES
    from labkit.report.table import Table

    recipes, counts = plan.generated.recipes, plan.counts()
    states = [state for state in STATES if any(count[state] for count in counts.values())]
    rows: list[dict[str, Cell]] = []
    for name, count in counts.items():
        recipe = recipes.get(name)
        points = None if recipe is None else recipe.grid.arithmetic
        number = 0 if recipe is None else recipe.grid.num_points
        rows.append({"section": name, "points": points, "files": number, **{state: count[state] for state in states}})
    off = [
        f"{name} ({r.grid.num_points:,})" for name, r in recipes.items() if r.section.optional and name not in counts
    ]
    notes = [f"off, switched on by --with: {', '.join(off)}"] if off else []
    notes += [f"{count:,} files of {name} are there and were left alone" for name, count in plan.unasked.items()]
    title = f"{plan.generated.file.shown} in {plan.folder}"
    return Table("gencfg", title, ("section", "points", "files", *states), rows, notes, expendable=("unchanged",))


def _files(plan: Plan) -> Table:
    """Every file that is not as it was, for programs."""
    from labkit.report.table import Table

    rows: list[dict[str, Cell]] = [
        {"path": path, "state": state} for path, state in plan.states.items() if state != "unchanged"
    ]
    return Table("gencfg_files", "files that differ", ("path", "state"), rows)


def _say_sum(plan: Plan, to: str, *, overwrite: bool, prune: bool) -> None:
    """What was done, or is `to` be done, and what stays because nobody asked for it to go."""
    from labkit.gencfg.plan import named
    from labkit.gencfg.write import paths_to_remove

    ending = "" if to else "d"
    counts = {"create": len(plan.paths("create")), "update": len(plan.paths("update", *_edited(overwrite)))}
    removed = paths_to_remove(plan, overwrite=overwrite) if prune else []
    counts |= {"remove": len(removed)} if removed else {}
    words = [f"{count:,} {to}{verb}{ending}" for verb, count in counts.items()]
    _say(f"{plan.generated.counted}: {', '.join(words)}, {len(plan.paths('unchanged')):,} unchanged")
    if counts["update"]:
        _say(_changes(plan))
    if not overwrite and (edited := plan.paths("edited", *(("stale and edited",) if prune else ()))):
        _say(f"{len(edited):,} edited by hand since; they stay without --overwrite:\n{named(edited)}")
    if not prune and (stale := plan.paths("stale", "stale and edited")):
        _say(f"{len(stale):,} that the matrix makes no more; they stay without --prune:\n{named(stale)}")


def _edited(overwrite: bool) -> tuple[State, ...]:
    return ("edited",) if overwrite else ()


def _changes(plan: Plan) -> str:
    keys = [f"{key} in {count:,}" for key, count in plan.changed_keys.most_common(12)]
    rest = len(plan.changed_keys) - len(keys)
    return "changed: " + ", ".join(keys) + (f", and {rest} more keys" if rest > 0 else "")


def _refuse_drift(plan: Plan, command: str) -> None:
    """Raise a `CheckFailed` that names what is not as the matrix says."""
    from labkit.errors import CheckFailed
    from labkit.gencfg.plan import STATES, named
    from labkit.gencfg.write import manifest_is_current

    words = {"create": "not there", "update": "out of date", "edited": "edited by hand"}
    words |= {"stale": "not made by the matrix any more", "stale and edited": "not made any more, and edited by hand"}
    words |= {"foreign": "in the way, and not written by labkit"}
    found = []
    for state in STATES:
        paths = plan.paths(state)
        if paths and state != "unchanged":
            found.append(f"{len(paths):,} {words[state]}:\n{named(paths)}")
    if plan.orphans:
        gone = {name: plan.manifest.gone[name] for name in plan.orphans.values()}
        names = ", ".join(f"{name} ({path})" for name, path in sorted(gone.items()))
        found.append(f"of matrices that are there no more, or have another name: {names}")
    if plan.changed_keys:
        found.append(_changes(plan))
    if not found and not manifest_is_current(plan):
        found.append("gencfg.json does not list the files that are there")
    if found:
        hint = _remedies(plan, command)
        raise CheckFailed("\n".join([f"{plan.folder} is not what {plan.generated.file.shown} makes", *found]), hint)
    _say(f"{plan.generated.counted}: all as {plan.generated.file.shown} says")


def _remedies(plan: Plan, command: str) -> str:
    """What mends the differences that there are."""
    flags: dict[str, tuple[str, State]] = {
        "--overwrite": ("replaces what was edited", "edited"),
        "--prune": ("removes what is left over", "stale"),
        "--prune --overwrite": ("removes what is left over though it was edited", "stale and edited"),
    }
    words = [f"{flag} {does}" for flag, (does, state) in flags.items() if plan.paths(state)]
    if plan.paths("foreign"):
        words.append("what is in the way is to be moved, or taken up with --overwrite if labkit made it")
    if plan.paths("create", "update") or not plan.paths("edited", "stale", "stale and edited"):
        return "; ".join([f"{command} mends it", *words])
    return f"{command} {'; '.join(words)}"


def _command(matrix: str, out: Path, extra: Sequence[str], only: Sequence[str]) -> str:
    words = ["labkit", "gencfg", matrix, *([] if out == HERE else ["--out", f"{out}"])]
    words += [word for name in extra for word in ("--with", name)] + [
        word for name in only for word in ("--only", name)
    ]
    return shlex.join(words)


def _say_missing(generated: Generated, out: Path) -> None:
    """Warn of inputs that are neither there nor made by a config of the matrix, and name the option that makes them."""
    from labkit.gencfg.missing import missing_inputs

    # Whoever carries the configs out has the same environment, which may say where runs are.
    for line in missing_inputs(generated, [HERE, out], os.environ.get("LABKIT_RUNS_DIR")):
        _say(line)
