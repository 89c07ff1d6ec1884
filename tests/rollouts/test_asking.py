"""Before a run: one beginning of text, and tokens that end what the template ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sweeps import Watcher, config, sample
from tiny_models import save_model
from transformers import AutoTokenizer

from labkit.config.commands import SampleConfig
from labkit.errors import InputError
from labkit.models.engine import EncodedPrompt
from labkit.record.run import Run
from labkit.rollouts.asking import num_beginnings, unstopped_text
from labkit.rollouts.estimate import estimate
from labkit.rollouts.plan import Batch
from labkit.rollouts.projection import free_bytes, projection


def with_template(folder: Path, template: str, **tokens: str) -> Path:
    """The tiny model with another chat template, and special tokens of its own."""
    save_model(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template
    tokenizer.add_special_tokens(tokens)
    tokenizer.save_pretrained(folder)
    return folder


def asked(folder: Path, tmp_path: Path) -> dict[str, Any]:
    return estimate(config(SampleConfig, folder, tmp_path / "runs"), print)


ONCE = "{{ bos_token }}{% for m in messages %}{{ m['content'] }}{% if m['role'] == 'assistant' %}<|turn|>{% endif %}{% endfor %}"


def test_a_template_that_begins_a_text_twice_is_refused_by_name(tmp_path: Path) -> None:
    folder = with_template(tmp_path / "twice", "{{ bos_token }}" + ONCE, bos_token="(")
    with pytest.raises(InputError, match="2 beginning-of-text tokens") as refused:
        asked(folder, tmp_path)
    assert "chat_template.jinja" in str(refused.value.hint)
    assert "twice" in refused.value.message


def test_a_dry_run_says_how_the_model_is_asked(tmp_path: Path) -> None:
    found = asked(with_template(tmp_path / "once", ONCE, bos_token="("), tmp_path)
    assert found["num_bos_tokens"] == 1
    assert found["first_prompt"]["text"].startswith("(")
    assert len(found["first_prompt"]["token_ids"]) > 3
    assert found["free_bytes"] > 1_000_000
    json.dumps(found)


def test_a_turn_that_never_ends_is_mentioned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = with_template(tmp_path / "open", ONCE, bos_token="(")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<|turn|>"], special_tokens=True)
    tokenizer.save_pretrained(folder)
    found = asked(folder, tmp_path)
    assert found["template_end_id"] == tokenizer.convert_tokens_to_ids("<|turn|>")
    assert found["template_end_id"] not in found["end_of_turn_ids"]
    assert "ends no rollout" in capsys.readouterr().out


def test_models_whose_template_and_stops_agree_are_not_mentioned(tiny_folder: Path, tmp_path: Path) -> None:
    run = sample(tiny_folder, tmp_path)
    assert run.manifest["engine"]["template_end_id"] in (None, *run.manifest["engine"]["end_of_turn_ids"])
    assert not any("ends no rollout" in text for text in (run.result() or {})["warnings"])


def test_one_token_that_begins_and_ends_may_separate_turns() -> None:
    about = {"bos_token_id": 7, "end_of_turn_ids": [7], "template_end_id": 7}
    assert num_beginnings(EncodedPrompt("", (7, 1, 2, 7, 3)), about) == 1
    assert num_beginnings(EncodedPrompt("", (7, 7, 1)), about) == 2
    assert num_beginnings(EncodedPrompt("", (7, 1, 7)), {**about, "end_of_turn_ids": [5]}) == 2
    assert num_beginnings(EncodedPrompt("", (1, 2)), {"bos_token_id": None, "end_of_turn_ids": [5]}) == 0
    assert unstopped_text(about) is None
    assert "token 7" in str(unstopped_text({**about, "end_of_turn_ids": [5]}))


def test_a_long_run_says_so_after_its_first_batch(tiny_folder: Path, tmp_path: Path) -> None:
    run: Run = sample(tiny_folder, tmp_path)
    (arm, _), *_ = run.ask().arms
    batches = [Batch(arm, range(10), range(index, index + 1)) for index in range(100)]
    assert projection(run, batches[:1], 10, 10, 5000.0) == []
    assert projection(run, batches[:2], 10, 20, 30.0) == []
    (text,) = projection(run, batches, 10, 1000, 50.0)
    assert text.startswith("about 1 h 22 min to go")
    # Of the first batch seven rollouts were there, and all ten were decoded.
    assert projection(run, batches, 3, 993, 50.0)[0].startswith("about 1 h 22 min to go")
    size = max(path.stat().st_size for path in run.rows_dir.glob("*.jsonl"))
    owed = int(2 * free_bytes(tmp_path) / size) + 2
    assert any("disk is too small" in text for text in projection(run, batches, 1, owed, 0.0))


def test_every_watcher_of_a_run_is_told(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labkit.rollouts.projection.LONG_S", 0.0)
    watcher = Watcher()
    sample(tiny_folder, tmp_path, watcher)
    (text,) = watcher.said
    assert "to go: the first" in text
