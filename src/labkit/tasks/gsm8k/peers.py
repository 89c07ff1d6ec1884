"""The two rules of lm-evaluation-harness's `gsm8k` task, as they are, faults included, so that figures can be compared.

Both compare texts after the same deletions: commas, dollar signs, everything up to the last `#### `, one full stop at the
end, and case.
"""

from __future__ import annotations

import re

_STRICT = re.compile(r"#### (\-?[0-9\.\,]+)")
_FLEXIBLE = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
_INVALID = "[invalid]"
_PIECE = 60


def strict_match(text: str) -> str:
    """The first number right after `#### `, as `strict-match` compares it; `[invalid]` where there is none."""
    found = _STRICT.search(text)
    return _INVALID if found is None else compared(found[1])


def flexible_extract(text: str) -> str:
    """The last run that looks like a number, as `flexible-extract` compares it; `[invalid]` where there is none."""
    end = len(text)
    while end > 0:
        # Runs hold no spaces: they can be looked for from the end, a piece between spaces at a time.
        start = max(text.rfind(" ", 0, max(0, end - _PIECE)), 0)
        if found := _FLEXIBLE.findall(text, start, end):
            run, integer = found[-1]
            return compared(run or integer)
        end = start
    return _INVALID


def compared(text: str) -> str:
    """A text without what the harness ignores; answers are right where this equals that of the gold's."""
    text = text.replace(",", "").replace("$", "")
    text = text[text.rfind("#### ") + len("#### ") :] if "#### " in text else text
    return text.removesuffix(".").lower()
