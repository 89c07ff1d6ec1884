import re
from pathlib import Path

import labkit
from labkit.cli.doctor import _EXTRAS_IN_USE


def test_extras_that_a_command_asks_for_are_in_use():
    sources = [path.read_text() for path in Path(labkit.__file__).parent.rglob("*.py")]
    asked_for = {name for text in sources for name in re.findall(r"labkit\[(\w+)\]", text)}
    assert asked_for
    assert asked_for <= _EXTRAS_IN_USE
