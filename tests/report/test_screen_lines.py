"""What no terminal may do with a text."""

import pytest

from labkit.report.screen_text import clean


@pytest.mark.parametrize("mark", ["\x1b", "\x9b", "\n", "\u061c", "\u200f", "\u2028", "\u2029", "\u202e", "\u2066"])
def test_nothing_moves_the_cursor_or_turns_the_direction_of_writing(mark):
    assert clean(f"a{mark}{mark}b") == "a b"
    assert clean("שלום, čaj") == "שלום, čaj"
