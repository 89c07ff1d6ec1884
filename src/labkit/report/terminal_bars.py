"""Bars, stacks and strips in the terminal, of block characters: they read without colour too."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence

from rich.style import Style
from rich.text import Text

from labkit.report.colours import part_colours, text_colour
from labkit.report.figures import Bar, BarGroup, Bars, Stacks, Strip, StripPart, means_of_neighbours
from labkit.report.terminal_words import family_style, heading, in_columns

_LEAST_BAR = 12
_LEAST_GROUP = 58
"""Columns that a group of bars needs to stand beside another."""
_MOST_LINES = 4
"""Lines of a stretch of a strip; where there are more prompts, a column is the mean of several."""
_LEVELS = "·▁▂▃▄▅▆▇█"


def drawn_bars(bars: Bars, width: int) -> Text:
    """A line a bar: full blocks up to the lower end of the interval, dense to the value, light to the upper end."""
    num_beside = max(min(width // _LEAST_GROUP, len(bars.groups)), 1) if bars.is_beside else 1
    room = (width - 3 * (num_beside - 1)) // num_beside
    blocks = [_group_lines(group, bars.upper, room, bars) for group in bars.groups]
    lines = heading(bars.title, bars.subtitle, width)
    for start in range(0, len(blocks), num_beside):
        lines += _beside(blocks[start : start + num_beside], room)
    has_intervals = any(bar.low is not None for group in bars.groups for bar in group.bars)
    key = f"{bars.value_label}, 0 to {bars.upper:g}" + "; █▓ up to the value, ▓░ its interval" * has_intervals
    return Text("\n").join([*lines, *heading("", key, width)])


def _group_lines(group: BarGroup, upper: float, width: int, bars: Bars) -> list[Text]:
    every = [bar for each in bars.groups for bar in each.bars]
    indent = _label_width([bar.label for bar in every], width)
    text_width, noted_width = (
        max(map(len, texts)) for texts in ([bar.text for bar in every], list(map(_words, every)))
    )
    room = width - indent - 4
    beside = room - noted_width >= _LEAST_BAR
    room = max(room - (noted_width if beside else text_width), _LEAST_BAR)
    lines = [Text(group.title, style="bold")] if group.title else []
    for bar in group.bars:
        blocks = Text(_blocks(bar, upper, room).ljust(room), style=family_style(bar.tone.family))
        words = _words(bar) if beside else bar.text
        lines += _labelled(f"  {bar.label}", indent + 3, Text.assemble(blocks, f" {words}"))
        if bar.note and not beside:
            lines.append(Text(f"    {bar.note}", style="dim"))
    return lines


def _label_width(labels: Sequence[str], width: int) -> int:
    """Columns for labels; 0 where they would take more than half of the width, and so stand on lines of their own."""
    longest = max(map(len, labels), default=0)
    return longest if longest <= width // 2 else 0


def _labelled(label: str, indent: int, body: Text) -> list[Text]:
    if len(label) < indent:
        return [Text.assemble(label.ljust(indent), body)]
    return [Text(label), Text.assemble(" " * indent, body)]


def _words(bar: Bar) -> str:
    return f"{bar.text}  {bar.note}" if bar.note else bar.text


def _blocks(bar: Bar, upper: float, room: int) -> str:
    if bar.value is None:
        return ""
    low, high = (bar.value if end is None else end for end in (bar.low, bar.high))
    cells = ""
    for cell in range(room):
        at = (cell + 0.5) / room * upper
        cells += "█" if at < low else "▓" if at < bar.value else "░" if at < high else ""
    return cells or ("▏" if bar.value > 0 else "")


def _beside(blocks: Sequence[list[Text]], width: int) -> list[Text]:
    """Blocks of lines beside each other."""
    lines = []
    for number in range(max(map(len, blocks))):
        parts = [block[number].copy() if number < len(block) else Text() for block in blocks]
        for part in parts[:-1]:
            part.pad_right(max(width + 3 - part.cell_len, 0))
        lines.append(Text.assemble(*parts))
    return lines


def drawn_stacks(stacks: Stacks, width: int) -> Text:
    """A line a row, as long as its parts together: of each its letter (seen without colour only) and its count."""
    indent = _label_width(stacks.row_labels, width) + 1
    most = max((sum(counts) for counts in stacks.counts), default=0)
    colours = part_colours(len(stacks.part_names))
    room = width - indent
    lines = heading(stacks.title, stacks.subtitle, width)
    for label, counts in zip(stacks.row_labels, stacks.counts, strict=True):
        line = Text()
        sizes = _shares(counts, round(room * sum(counts) / most) if most else 0)
        for part, (count, size) in enumerate(zip(counts, sizes, strict=True)):
            line.append_text(_part(string.ascii_lowercase[part], str(count), size, colours[part]))
        lines += _labelled(label, indent, line)
    entries = [
        Text.assemble((f" {letter} ", Style(color=text_colour(colour), bgcolor=colour)), f" {name}")
        for letter, colour, name in zip(string.ascii_lowercase, colours, stacks.part_names, strict=False)
    ]
    key = Text(f"{stacks.part_label}; the numbers in the bars are {stacks.count_label}", style="dim")
    return Text("\n").join([*lines, key, in_columns(entries, width)])


def _shares(counts: Sequence[int], room: int) -> list[int]:
    """Columns of each part, which sum to `room`; a part that has something has one at least."""
    total = sum(counts)
    exact = [count * room / total if total else 0.0 for count in counts]
    sizes = [max(math.floor(size), 1) if count else 0 for size, count in zip(exact, counts, strict=True)]
    while sum(sizes) < room:
        sizes[max(range(len(sizes)), key=lambda part: exact[part] - sizes[part])] += 1
    while sum(sizes) > max(room, sum(map(bool, counts))):
        sizes[max(range(len(sizes)), key=lambda part: (sizes[part] > 1, sizes[part] - exact[part]))] -= 1
    return sizes


def _part(letter: str, count: str, size: int, colour: str) -> Text:
    # A letter at least before each count: those of narrow neighbours would read as one number.
    shown = count if len(count) < size else ""
    left = max((size - len(shown)) // 2, 1) if size else 0
    # Letters in the colour of their ground: there where the terminal shows no colours, and no noise where it does.
    hidden, plain = Style(color=colour, bgcolor=colour), Style(color=text_colour(colour), bgcolor=colour)
    return Text.assemble((letter * left, hidden), (shown, plain), (letter * (size - len(shown) - left), hidden))


def drawn_strip(strip: Strip, width: int) -> Text:
    """Two lines of columns for each stretch, one column a prompt, as high as the share."""
    lines = heading(strip.title, strip.subtitle, width)
    total = sum(len(part.above) for part in strip.parts)
    for part in strip.parts:
        lines += _stretch(part, strip.item_label, total, width)
    key = f"{strip.above_label}; {strip.below_label}; · is 0 and █ is 1"
    return Text("\n").join([*lines, *heading("", key, width)])


def _stretch(part: StripPart, item_label: str, total: int, width: int) -> list[Text]:
    room = width - 4
    each = -(-len(part.above) // (room * _MOST_LINES))
    words = f", a column the mean of {each}" if each > 1 else ""
    lines = [Text(f"{part.label}: {len(part.above)} of {total} {item_label}{words}", style="bold")]
    above, below = means_of_neighbours(part.above, each), means_of_neighbours(part.below, each)
    for start in range(0, len(above), room):
        stretches = (("A", family_style("a"), above), ("B", family_style("b"), below))
        for letter, style, values in stretches:
            columns = "".join(_LEVELS[math.ceil(value * 8 - 1e-9)] for value in values[start : start + room])
            lines.append(Text.assemble(f"  {letter} ", (columns, style)))
    return lines
