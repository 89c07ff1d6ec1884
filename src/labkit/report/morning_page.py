"""One screen of what `labkit.report.morning` found: every section gets what it needs, and where the screen is too low for all,
the later rows of the longer ones give way, with a word on how to see them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from labkit.report.morning import COLUMNS, AtWork, Morning, Stopped
from labkit.report.newest_tables import NewestTable
from labkit.report.screen_lines import GAP, STATUS_STYLES, duration_text, plain_text, table_lines, when_text
from labkit.report.screen_text import clean
from labkit.report.table import Cell, Table

if TYPE_CHECKING:
    from rich.text import Text

LEAST_LINES, MOST_LINES = 24, 40
"""The page is as long as the terminal is high, within these bounds."""
LEAST_COLUMNS, MOST_COLUMNS = 40, 160
_ROOM_TO_REPEAT = 32
_IDLE_S = 600.0
"""Seconds after which it is said that a run at work writes nothing."""


@dataclass(slots=True)
class Section:
    """A heading and lines, of which the last ones may be left out."""

    head: Text
    lines: list[Text]
    least: int = 1
    """Lines that it keeps as long as there is room for them."""
    more: str = ""
    """How to see what was left out."""
    kind: str = ""
    """Of the table that it is."""
    whole: Sequence[int] = ()
    """Columns of each line that are never cut, however narrow the terminal is: it would rather wrap a command."""
    num_hidden: int = 0
    """Lines that it has beside `lines`."""
    shown: int = field(default=0)

    @property
    def height(self) -> int:
        """Lines on the screen."""
        return 1 + self.shown

    def texts(self, width: int) -> list[Text]:
        """What is shown of it; what is left out is counted beside the heading, which gives way to how to see it."""
        left = len(self.lines) - self.shown + self.num_hidden
        more = ": ".join(filter(None, (f"{left} more" if left else "", self.more)))
        head = self.head.copy()
        if more:
            head.truncate(max(width - len(more) - GAP, width // 4), overflow="ellipsis")
            head.append(" " * GAP + more, "dim")
            head.truncate(width, overflow="ellipsis")
        for line, least in zip(self.lines, self.whole or [0] * len(self.lines), strict=True):
            line.truncate(max(width, least), overflow="ellipsis")
        return [head, *self.lines[: self.shown]]


def page(morning: Morning, width: int, height: int, now: datetime | None = None) -> list[Text]:
    """The lines of the page.

    Args:
        width: columns of the terminal
        height: its lines, of which one is left for the prompt
        now: the time in the time zone of the reader; that of the clock unless given
    """
    now = now or datetime.now().astimezone()
    width = min(max(width, LEAST_COLUMNS), MOST_COLUMNS)
    room = min(max(height, LEAST_LINES), MOST_LINES) - 1
    urgent, others = _urgent(morning, now), _others(morning, width, now, repeating=room >= _ROOM_TO_REPEAT)
    sections = _share(urgent + others, room - 2)
    left_out = [section.kind for section in others if section not in sections and section.kind]
    head, foot = _head(morning, now), _foot(left_out)
    for line in (head, foot):
        line.truncate(width, overflow="ellipsis")
    spare = room - 2 - sum(section.height for section in sections)
    lines = [head]
    for section in sections:
        if spare > len(sections):
            lines.append(plain_text(""))
        lines += section.texts(width)
    lines += [plain_text("")] * (spare > len(sections)) + [foot]
    return lines


def _share(sections: Sequence[Section], room: int) -> list[Section]:
    """The sections that fit, each with as many lines as there are; first each gets its least, then all in turn."""
    chosen: list[Section] = []
    for section in sections:
        least = min(section.least, len(section.lines))
        if 1 + least <= room:
            section.shown = least
            room -= section.height
            chosen.append(section)
    while room:
        growing = [section for section in chosen if section.shown < len(section.lines)]
        if not growing:
            break
        for section in growing[:room]:
            section.shown += 1
            room -= 1
    return chosen


def _head(morning: Morning, now: datetime) -> Text:
    """Where, when, and how many."""
    total = sum(morning.counts.values())
    text = plain_text(f"{total} run{'s' * (total != 1)}", "bold")
    for status in ("running", "interrupted", "damaged", "done"):
        if count := morning.counts[status]:
            text.append(f"  {count} {status}", STATUS_STYLES.get(status, "green"))
    if morning.failed:
        text.append(f"  {len(morning.failed)} failed to start", "red")
    return text.append(f"  {now:%a %d %b %H:%M}  {clean(str(morning.runs_dir))}", "dim")


def _foot(left_out: Sequence[str]) -> Text:
    """How to see more.

    Args:
        left_out: kinds of tables that had no room
    """
    if left_out:
        return plain_text(f"no room for --table {', '.join(left_out)}   labkit report --all: every table", "dim")
    return plain_text("labkit report RUN: one run   --all: every table   labkit runs list: every run", "dim")


def _urgent(morning: Morning, now: datetime) -> list[Section]:
    """What needs somebody, or soon will."""
    stopped = [_stopped(each) for each in morning.stopped]
    everything = (
        ("running", "cyan", [_at_work(each, now) for each in morning.at_work], "labkit runs watch RUN"),
        ("interrupted: go on with", "yellow", stopped, "labkit runs list"),
        (
            "failed before a run was made",
            "red",
            [plain_text(f"  labkit run {each.item}  ").append(clean(each.why), "dim") for each in morning.failed],
            f"{morning.runs_dir}/logs",
        ),
        ("damaged", "red", [plain_text(f"  {text}") for text in morning.damaged], "labkit runs list"),
    )
    return [
        Section(
            plain_text(name, f"bold {style}"), lines, least=3,
            more=more if len(lines) > 1 or name == "running" else "",
            whole=[len(each.resume) + 2 * GAP for each in morning.stopped] if lines is stopped else (),
        )
        for name, style, lines, more in everything
        if lines
    ]  # fmt: skip


def _others(morning: Morning, width: int, now: datetime, *, repeating: bool) -> list[Section]:
    """What ran, and what it found.

    Args:
        repeating: whether to list the runs again that are told of as running or interrupted
    """
    sections = []
    rows = [_listed(row, now) for row in morning.newest if repeating or row["status"] not in ("running", "interrupted")]
    if rows:
        columns = [column for column in COLUMNS if any(row.get(column) is not None for row in rows)]
        listed = _renamed(
            Table("newest_runs", "", columns, rows, expendable=("took_s", "model", "task", "name")),
            {"created": "when", "took_s": "took", "headline": "found"},
        )
        lines = table_lines(listed, width)
        sections.append(Section(lines[0], lines[1:], least=5))
    if morning.warnings:
        lines = [plain_text(f"  {text}") for text in morning.warnings]
        sections.append(Section(plain_text("warnings", "bold yellow"), lines, more="labkit report RUN"))
    return sections + [_table_section(each, width, morning.tag) for each in morning.tables]


def _renamed(table: Table, names: Mapping[str, str]) -> Table:
    columns = [names.get(column, column) for column in table.columns]
    rows = [{names.get(column, column): value for column, value in row.items()} for row in table.rows]
    expendable = [names.get(column, column) for column in table.expendable]
    return Table(table.kind, table.title, columns, rows, table.notes, expendable)


def _listed(row: Mapping[str, Cell], now: datetime) -> dict[str, Cell]:
    """A run as it is listed: times in words, and of an unfinished one how far it is where the figure stands."""
    status, done, asked = row.get("status"), row.get("done"), row.get("asked")
    found = row.get("headline")
    if status != "done":
        found = f"{status}, {done:,} of {asked:,}" if asked and isinstance(done, int) else str(status)
    model = str(row.get("model") or "").removeprefix("builtin:").rpartition("/")[2]
    took = row.get("took_s")
    return {
        **row,
        "created": when_text(str(row["created"]), now) if row.get("created") else None,
        "model": model or None,
        "took_s": duration_text(float(took)) if isinstance(took, (int, float)) else None,
        "headline": found,
    }


def _at_work(each: AtWork, now: datetime) -> Text:
    unit = {"train": "steps", "extract": "checkpoints"}.get(each.run.command, "rollouts")
    text = plain_text(f"  {each.tag}", "cyan").append(f"  {_about(each.run.command, each.run.manifest.get('name'))}  ")
    text.append(f"{each.done:,} of {each.asked:,} ({each.done / each.asked:.0%})" if each.asked else f"{each.done:,}")
    if each.idle_s > _IDLE_S:
        text.append(f", nothing written for {duration_text(each.idle_s)}", "red")
    elif each.left_s is not None:
        end = datetime.fromtimestamp(now.timestamp() + each.left_s, now.tzinfo)
        text.append(f", {duration_text(each.left_s)} left, until {when_text(end.isoformat(), now)}")
    if each.rate:
        text.append(f", {each.rate:,.1f} {unit}/s", "dim")
    return text


def _stopped(each: Stopped) -> Text:
    """The command first: whatever is cut, it is whole."""
    of = f"{each.done:,} of {each.asked:,}" if each.asked else f"{each.done:,} done"
    name = f"{each.run.manifest['name']}, " if each.run.manifest.get("name") else ""
    return plain_text(f"  {each.resume}").append(f"  {clean(name)}{of}; {clean(each.why)}", "dim")


def _about(command: str, name: object) -> str:
    return f"{command} {clean(str(name))}" if name else command


def _table_section(each: NewestTable, width: int, tag: Callable[[str], str]) -> Section:
    if each.table is None:
        return Section(
            plain_text(each.kind, "bold"), [], least=0, more=f"too large for a look: {each.command}", kind=each.kind
        )
    table = _at_largest_k(each.table)
    if "run" in table.columns:
        table = replace(table, rows=[{**row, "run": tag(str(row["run"]))} for row in table.rows])
    lines = table_lines(table, width)
    hidden = len(each.table.rows) - len(table.rows)
    head = plain_text(table.title, "bold")
    return Section(
        head,
        lines,
        least=2,
        more=", ".join(filter(None, (each.left_out, each.command))),
        kind=each.kind,
        num_hidden=hidden,
    )


def _at_largest_k(table: Table) -> Table:
    """Of what has a row for each k those of the largest: it says most."""
    if "k" not in table.columns:
        return table
    largest = max(row["k"] for row in table.rows if isinstance(row["k"], int))
    return replace(table, rows=[row for row in table.rows if row["k"] == largest])
