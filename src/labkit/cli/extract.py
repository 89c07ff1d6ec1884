"""`labkit extract`: hidden states of a model for every city, and what can be read from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labkit.cli.flags import MODEL_FLAGS, RUN_FLAGS, Asked, Flag, add_command

if TYPE_CHECKING:
    from labkit.config.commands import ExtractConfig
    from labkit.extract.plan import Plan
    from labkit.record.run import Run

FLAGS = [
    *MODEL_FLAGS,
    Flag("--checkpoint", "checkpoints", str, "final, last, all, or a step; a step is repeatable.  [final]", repeatable=True),
    Flag("--cities", "cities", Path, "The world's cities.csv.  [data/world/cities.csv]"),
    Flag("--layer", "layers", int, "Hidden states after this block, 0 for the embeddings; repeatable.  [5]", repeatable=True),
    Flag("--prompt-format", "prompt_format", str, "TASK_firstcity_last_and_trans.  [of the task it was trained on]"),
    Flag("--batch-size", "batch_size", int, "Most prompts in a forward pass.  [512]"),
    *RUN_FLAGS,
]  # fmt: skip
CONFIG = Annotated[Path | None, typer.Argument(metavar="CONFIG", help="YAML config, or the name of a shipped one.")]

HELP = """Save a model's hidden states for cities, and probe them.

Linear probes read the coordinates of cities from the states.

The states are those at the last digit of a city's id, and at the separator after it, in the first words of a question.
--debug is 32 cities. A killed extraction goes on with --resume.
"""

DEBUG_CITIES = 32
WORDS = ("final", "last", "all")


def register(app: typer.Typer) -> None:
    add_command(app, "extract", FLAGS, _extract, help=HELP, without=("config",), argument=("config_path", CONFIG))


def _extract(asked: Asked) -> None:
    from labkit.cli.console import say
    from labkit.cli.layers import resolve_asked, resumed_run
    from labkit.config.commands import ExtractConfig, refuse_default_model
    from labkit.extract.plan import plan_extraction

    asked = _with_config(asked)
    run = resumed_run(asked, "extract")
    resolved = resolve_asked(ExtractConfig, asked, debug=_debug, resumed=run)
    if run is None:
        refuse_default_model(resolved)
    config = resolved.config
    if asked.dry_run:
        _say_what_would_be_done(plan_extraction(config, say), run, as_json=asked.json)
        return
    plan = None if run is not None else plan_extraction(config, say)
    say("loading torch")
    from labkit.extract.session import resume, start

    with _Progress() as progress:
        if plan is not None:
            run = start(resolved, plan, progress)
        else:
            assert run is not None
            run = resume(run, config, lambda: plan_extraction(config, say), progress)
    _print_table(run, as_json=asked.json)
    say(f"recorded in {run.path}")


def _with_config(asked: Asked) -> Asked:
    """The positional config as a file, and the checkpoints as the config has them."""
    from dataclasses import replace

    from labkit.config.templates import find_template

    values = dict(asked.values)
    named = values.pop("config_path")
    if "checkpoints" in values:
        values["checkpoints"] = _checkpoints(values["checkpoints"])
    return replace(asked, values=values, config=None if named is None else find_template(named))


def _checkpoints(words: list[str]) -> str | list[int]:
    """What `--checkpoint` says: one word, or steps, also written `checkpoint-N`."""
    from labkit.errors import ConfigError

    if len(words) == 1 and words[0] in WORDS:
        return words[0]
    steps = [word.removeprefix("checkpoint-") for word in words]
    wrong = [word for word, step in zip(words, steps, strict=True) if not step.isdecimal()]
    if wrong:
        raise ConfigError(
            f"--checkpoint {wrong[0]} is no step" + (" beside others" if wrong[0] in WORDS else ""),
            f"give one of {', '.join(WORDS)}; or steps, such as --checkpoint 100 --checkpoint 200",
        )
    return [int(step) for step in steps]


def _debug(config: ExtractConfig) -> dict[str, Any]:
    """The small preset: 32 cities."""
    return {"num_cities": DEBUG_CITIES}


def _say_what_would_be_done(plan: Plan, run: Run | None, *, as_json: bool) -> None:
    from labkit.cli.console import say
    from labkit.extract.files import saved_checkpoints

    there = [] if run is None else saved_checkpoints(run)
    found = {
        "checkpoints": list(plan.folders),
        "owed": [name for name in plan.folders if name not in there],
        "num_cities": len(plan.prompts),
        "layers": list(plan.layers),
        "prompt_format": plan.prompt_format,
        "first_prompt": plan.prompts[0],
        "positions": list(plan.positions),
        "num_bytes": plan.num_bytes,
    }
    if as_json:
        print(json.dumps(found))
        return
    say(
        f"{len(plan.prompts)} prompts like {plan.prompts[0]!r} to {len(plan.folders)} checkpoints "
        f"({', '.join(plan.folders)}), {len(there)} of them done; layers {', '.join(map(str, plan.layers))} at tokens "
        f"{plan.positions[0]} and {plan.positions[1]}; {plan.num_bytes / 1e6:.3g} MB. Nothing was written."
    )


def _print_table(run: Run, *, as_json: bool) -> None:
    from labkit.report.render import print_tables
    from labkit.report.representations import representation_table

    print_tables([representation_table([run])], format="json" if as_json else None)


class _Progress:
    """An `ExtractionObserver` that talks, a line a checkpoint."""

    def __init__(self) -> None:
        self._run: Run | None = None

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, kind: object, error: BaseException | None, at: object) -> None:
        from labkit.cli.console import say_how_to_resume

        say_how_to_resume(self._run, error)

    def started(self, run: Run, num_checkpoints: int, num_done: int) -> None:
        """The run exists."""
        from labkit.cli.console import say

        self._run = run
        if num_done:
            say(f"{num_done} of {num_checkpoints} checkpoints are there already")

    def extracted(self, checkpoint: str, num_cities: int, duration_s: float) -> None:
        """A checkpoint's hidden states are on disk."""
        from labkit.cli.console import say
        from labkit.execute.signals import raise_received

        raise_received()
        say(f"{checkpoint}: {num_cities} cities, {num_cities / max(duration_s, 1e-9):,.0f} a second")
