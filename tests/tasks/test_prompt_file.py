"""A JSONL file as a task: what it accepts, what it refuses and in which line, and how it compares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import InputError
from labkit.tasks.base import Prompt
from labkit.tasks.prompt_file import PromptFileTask


def task(tmp_path: Path, content: bytes | str) -> PromptFileTask:
    path = tmp_path / "p.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return PromptFileTask(path)


def prompts(tmp_path: Path, content: bytes | str) -> list[Prompt]:
    return task(tmp_path, content).prompts(preset=None, offset=0, num_prompts=None)


def texts(found: list[Prompt]) -> list[str]:
    return [prompt.messages[-1]["content"] for prompt in found]


def test_prompts_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    lines = [
        {"prompt": "b", "answer": "1"},
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}], "prefill": "so "},
        {"prompt": "ü – 2", "id": "third"},
    ]
    found = prompts(tmp_path, "\n".join(map(json.dumps, lines)))
    assert texts(found) == ["b", "a", "ü – 2"]
    assert [len(prompt.messages) for prompt in found] == [1, 2, 1]
    assert [prompt.prefill for prompt in found] == ["", "so ", ""]
    assert [dict(prompt.source) for prompt in found] == [
        {"line": 1, "id": None}, {"line": 2, "id": None}, {"line": 3, "id": "third"},
    ]  # fmt: skip


BLANKS_AND_ENDS = [
    b'{"prompt": "a"}\r\n\r\n{"prompt": "b"}\r\n',
    b'\xef\xbb\xbf{"prompt": "a"}\n{"prompt": "b"}',
    b'\n  \n{"prompt": "a"}\n\n\t{"prompt": "b"}\n\n',
]


@pytest.mark.parametrize("content", BLANKS_AND_ENDS, ids=["windows", "byte order mark", "blank lines"])
def test_line_ends_blank_lines_and_a_byte_order_mark_do_not_matter(tmp_path: Path, content: bytes) -> None:
    assert texts(prompts(tmp_path, content)) == ["a", "b"]


BAD = {
    "malformed": (b"{bad", "not JSON"),
    "cut": (b'{"prompt": "a"', "not JSON"),
    "nested too deep": (b"[" * 100_000, "not JSON"),
    "a list": (b'["a"]', "not a JSON object"),
    "a text": (b'"a"', "not a JSON object"),
    "neither": (b'{"answer": "1"}', "either `prompt` or `messages`"),
    "both": (b'{"prompt": "a", "messages": []}', "either `prompt` or `messages`"),
    "no text": (b'{"prompt": 5}', "`prompt` is not a text"),
    "empty": (b'{"prompt": ""}', "`prompt` is not a text"),
    "no turns": (b'{"messages": []}', "not chat turns"),
    "half a turn": (b'{"messages": [{"role": "user"}]}', "not chat turns"),
    "turn of numbers": (b'{"messages": [{"role": "user", "content": 5}]}', "not chat turns"),
    "prefill": (b'{"prompt": "a", "prefill": 5}', "`prefill` is not a text"),
    "no answers": (b'{"prompt": "a", "answer": []}', "`answer` is no text"),
    "answer of keys": (b'{"prompt": "a", "answer": {"b": 1}}', "`answer` is no text"),
    "answer of nulls": (b'{"prompt": "a", "answer": [null]}', "`answer` is no text"),
    "half a character": (b'{"prompt": "\\ud800"}', "surrogate"),
    "half in the answer": (b'{"prompt": "a", "answer": "\\udfff"}', "surrogate"),
    "not utf-8": (b'{"prompt": "caf\xe9"}', "not UTF-8"),
    "utf-16": ('{"prompt": "é"}'.encode("utf-16"), "not UTF-8"),
    "unknown": (b'{"prompt": "a", "source": 1}', "unknown key 'source'"),
}


@pytest.mark.parametrize(("line", "reason"), BAD.values(), ids=list(BAD))
def test_a_bad_line_is_named(tmp_path: Path, line: bytes, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        task(tmp_path, b'{"prompt": "good"}\n\n' + line + b"\n")
    assert "p.jsonl, line 3: " in caught.value.message
    assert reason in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(("key", "meant"), [("promt", "prompt"), ("anwser", "answer"), ("message", "messages")])
def test_a_mistyped_key_is_corrected(tmp_path: Path, key: str, meant: str) -> None:
    with pytest.raises(InputError) as caught:
        task(tmp_path, json.dumps({key: "a"}))
    assert (repr(key) in caught.value.message, caught.value.hint) == (True, f"did you mean {meant!r}?")


@pytest.mark.parametrize("content", [b"", b"\n", b"  \r\n\t\n"])
def test_a_file_without_prompts_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match="holds no prompts"):
        task(tmp_path, content)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        PromptFileTask(tmp_path / "missing.jsonl")
    with pytest.raises(InputError, match="Is a directory"):
        PromptFileTask(tmp_path)


def test_repeated_prompts_count_once_and_are_told(tmp_path: Path) -> None:
    found = task(tmp_path, '{"prompt": "a", "answer": "1"}\n{"prompt": "b"}\n{"prompt": "a", "answer": "2"}\n')
    kept = found.prompts(preset=None, offset=0, num_prompts=None)
    assert texts(kept) == ["a", "b"]
    assert kept[0].gold == {"answers": ["1"]}
    assert [note.split(": ", 1)[1] for note in found.notes] == ["1 repeated prompts count once"]
    assert list(task(tmp_path, '{"prompt": "a"}\n{"prompt": "a", "prefill": "x"}').notes) == []


@given(
    total=st.integers(1, 6), offset=st.integers(0, 8), num_prompts=st.one_of(st.none(), st.integers(1, 9))
)  # fmt: skip
def test_a_slice_is_at_most_what_was_asked(
    tmp_path_factory: pytest.TempPathFactory, total: int, offset: int, num_prompts: int | None
) -> None:
    path = tmp_path_factory.mktemp("slice") / "p.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"p{number}"}) + "\n" for number in range(total)))
    found = PromptFileTask(path)
    expected = [f"p{number}" for number in range(total)][offset:][:num_prompts]
    if expected:
        assert texts(found.prompts(preset=None, offset=offset, num_prompts=num_prompts)) == expected
    else:
        with pytest.raises(InputError, match=f"has {total} prompts, none after an offset of {offset}"):
            found.prompts(preset=None, offset=offset, num_prompts=num_prompts)


def test_there_is_no_preset(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no preset 'short'"):
        task(tmp_path, '{"prompt": "a"}').prompts(preset="short", offset=0, num_prompts=1)


@pytest.mark.parametrize(
    ("answer", "text", "correct"),
    [
        ("4", "4", True),
        ("4", " 4\n", True),
        (4, "4", True),
        (0.5, "0.5", True),
        ("4", "4.", False),
        ("4", "", False),
        ("a b", "a\n\t b", True),
        (" a \n b ", "a b", True),
        ("a b", "ab", False),
        (["4", "four"], "four", True),
        (["4", "four"], "five", False),
        ("A", "a", False),
    ],
)
def test_answers_are_compared_as_text(tmp_path: Path, answer: Any, text: str, correct: bool) -> None:
    found = task(tmp_path, json.dumps({"prompt": "q", "answer": answer}))
    (prompt,) = found.prompts(preset=None, offset=0, num_prompts=None)
    verdict = found.score(prompt, text)
    assert (verdict.correct, verdict.reward) == (correct, float(correct))
    assert verdict.rule == ("equal" if correct else "different")
    again = found.score(Prompt.from_json(json.loads(json.dumps(prompt.as_json()))), text)
    assert again == verdict


def test_a_prompt_without_an_answer_is_never_correct(tmp_path: Path) -> None:
    found = task(tmp_path, '{"prompt": "q"}\n{"prompt": "r", "answer": null}')
    for prompt in found.prompts(preset=None, offset=0, num_prompts=None):
        verdict = found.score(prompt, "anything")
        assert (verdict.correct, verdict.rule, verdict.answer) == (False, "no_reference", "anything")


def test_the_fingerprint_is_of_the_content_alone(tmp_path: Path) -> None:
    first = task(tmp_path, '{"prompt": "a"}').data_fingerprint
    (tmp_path / "other.jsonl").write_text('{"prompt": "a"}')
    assert PromptFileTask(tmp_path / "other.jsonl").data_fingerprint == first
    assert task(tmp_path, '{"prompt": "b"}').data_fingerprint != first
