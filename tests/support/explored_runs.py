"""Runs with texts for the explorer, and a real Chromium that notices whatever a page does beside showing itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from recorded_runs import new_run

from labkit.record.identity import Arm, draw_seed
from labkit.record.rows import Rollout, RowWriter, Verdict, VerdictWriter
from labkit.record.run import Run

Said = tuple[str | None, bool | None]
"""A text (None is none) and whether it is right (None is not judged yet)."""
Texts = Mapping[Arm, Sequence[Sequence[Said]]]
"""For each arm the rollouts of each prompt."""

DESKTOP, PHONE = (1280, 900), (375, 812)


def record_texts(
    runs_dir: Path,
    texts: Texts,
    prompts: Sequence[Mapping[str, Any]],
    *,
    task: str = "countdown",
    model: str = "tiny",
    base: Mapping[str, Any] | None = None,
    done: bool = True,
    seed: int = 42,
    words: tuple[str, str] = ("exact", "wrong_value"),
    **manifest: Any,
) -> Run:
    """A run with these texts; its verdicts give the rules `words`, and the first line of the text as the answer."""
    config = {"command": "sample", "seed": seed, "model": {"id": model}, "task": {"name": task}}
    outcomes = {arm: ["+" * max(map(len, rows))] * len(prompts) for arm, rows in texts.items()}
    run = new_run(
        runs_dir, outcomes, seed=seed, base=base or {"model": model, "task": task}, score={"scorer": f"{task}-1"},
        config=config, **manifest,
    )  # fmt: skip
    run.prompts_path.unlink()
    run.add_prompts(prompts)
    rows: list[Rollout] = []
    verdicts: list[Verdict] = []
    for arm, by_prompt in texts.items():
        for prompt, said in zip(prompts, by_prompt, strict=True):
            for index, (text, correct) in enumerate(said):
                row_seed = None if arm.method == "greedy" else draw_seed(seed, "rollout", prompt["id"], index)
                row = Rollout(prompt["id"], arm.key, index, 1, row_seed, text, "stop", 5, 7, 0.1)  # type: ignore[arg-type]
                rows.append(row)
                if correct is not None:
                    answer = text.splitlines()[0] if text else None
                    rule = words[not correct]
                    verdicts.append(Verdict(row.prompt, row.arm, index, 1, correct, float(correct), answer, rule))
    for writer, written in (
        (RowWriter(run.rows_dir, 1), rows),
        (VerdictWriter(run.scores_path(run.score_hash)), verdicts),
    ):
        writer.append(written)  # type: ignore[arg-type]
        writer.close()
    if done:
        run.finish({"arms": []}, owed=0, num_asked=run.ask().num_rollouts)
    return run


def countdown_prompt(number: int, numbers: Sequence[int] = (44, 19, 35), target: int = 98) -> dict[str, Any]:
    """A line of `prompts.jsonl` as the Countdown task writes it."""
    return {
        "id": f"{number:016x}",
        "messages": [{"role": "user", "content": f"{' '.join(map(str, numbers))} = {target}"}],
        "prefill": "<answer>",
        "scored_prefix": "<answer>",
        "gold": {"numbers": list(numbers), "target": str(target)},
        "source": {"index": number, "solution": None},
    }


@dataclass(slots=True)
class Opened:
    """A page in Chromium, and everything that it should not have done."""

    page: Any
    events: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        """What a reader sees of an element."""
        return str(self.page.locator(selector).inner_text())

    def texts(self, selector: str) -> list[str]:
        return list(self.page.locator(selector).all_inner_texts())

    def overflows(self) -> bool:
        """Whether the page is wider than its window."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def chromium_path() -> str | None:
    """The Chromium of this machine."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((found for name in names if (found := shutil.which(name))), None)


class Chromium:
    """A browser; every page is a context of its own, without a network."""

    def __init__(self) -> None:
        playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
        path = chromium_path()
        if path is None:
            pytest.skip("there is no Chromium on this machine")
        self._playwright = playwright.sync_playwright().start()
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        self._browser = self._playwright.chromium.launch(executable_path=path, args=arguments)

    def open(
        self,
        path: Path,
        size: tuple[int, int] = DESKTOP,
        *,
        dark: bool = False,
        fragment: str = "",
        touch: bool = False,
    ) -> Opened:
        """Open a file from disk."""
        context = self._browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            offline=True,
            has_touch=touch,
        )
        context.set_default_timeout(30_000)  # a busy machine is slow
        page = context.new_page()
        opened = Opened(page)
        address = path.resolve().as_uri()
        page.on("dialog", lambda dialog: (opened.events.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("console", lambda message: opened.events.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: opened.events.append(f"error: {error}"))
        page.on("popup", lambda popup: opened.events.append(f"popup: {popup.url}"))
        page.on(
            "request",
            lambda request: request.url.split("#")[0] != address and opened.events.append(f"request: {request.url}"),
        )
        page.goto(address + fragment)
        return opened

    def close(self) -> None:
        """End the browser and what drives it."""
        self._browser.close()
        self._playwright.stop()
