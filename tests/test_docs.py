"""Every command of the README and the docs is run as it stands, in the order of its page.

The environment makes the experiments small: it stands below flags and above config files, so what is tested is the command as
it is printed. A block under `<!-- not run: reason -->` needs what is not here; one under `<!-- run by .ci/run` is run there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from labkit.config.base import file_layer, resolve
from labkit.config.commands import COMMANDS
from labkit.gencfg.generate import generate
from labkit.gencfg.matrix import load_matrix
from labkit.tasks.goodhart.items import load_items

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SMALL = {
    "LABKIT_TASK__NUM_PROMPTS": "4",
    "LABKIT_NUM_ROLLOUTS": "2",
    "LABKIT_OPTIMISATION__NUM_STEPS": "4",
    "LABKIT_OPTIMISATION__BATCH_SIZE": "8",
    "LABKIT_EVALUATION__NUM_PROMPTS": "4",
}
# Greedy evaluation has one rollout a prompt, and refuses to be asked for more.
EVAL_WITHOUT_ROLLOUTS = (
    'labkit() { case "$1" in eval|run) env -u LABKIT_NUM_ROLLOUTS labkit "$@";; *) command labkit "$@";; esac; }\n'
)
_BLOCK = re.compile(r"(?:<!-- (?P<mark>[^\n]*?) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)```", re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """(mark, language, text) of every fenced block."""
    found = _BLOCK.finditer(page.read_text())
    return [(block["mark"] or "", block["language"], block["text"]) for block in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_run(page: Path, tmp_path: Path) -> None:
    (tmp_path / "templates").symlink_to(ROOT / "templates")
    environment = os.environ | SMALL | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    if page.stem == "record":  # a page about runs needs some
        _run("labkit sample --temperature 1 && labkit perturb --sigma 0.01", tmp_path, environment)
    for mark, language, text in blocks(page):
        assert not mark or mark.startswith(("not run: ", "run by .ci/run"))
        if language == "yaml":
            (tmp_path / text.split()[1]).write_text(text)  # "# name.yaml" stands on the first line
        elif language in ("bash", "python") and not mark:
            _run(text if language == "bash" else f"python - <<'END'\n{text}\nEND", tmp_path, environment)


def _run(script: str, folder: Path, environment: dict[str, str]) -> None:
    """A script as a user would paste it; `RUN` stands for the oldest run of the folder."""
    oldest = f"$(ls -d {folder}/runs/*/* | sort -t/ -k{len(folder.parts) + 3} | head -n 1 | xargs basename)"
    script = script.replace("RUN", oldest).replace("labkit runs rm", "labkit runs rm --yes")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", EVAL_WITHOUT_ROLLOUTS + script],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=180, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"


def test_every_yaml_on_the_pages_is_a_config_of_its_command(tmp_path: Path) -> None:
    checked = 0
    for page in PAGES:
        for _, language, text in blocks(page):
            if language == "yaml":
                path = tmp_path / "config.yaml"
                path.write_text(text)
                _check_yaml(path)
                checked += 1
    assert checked >= 2


@pytest.mark.parametrize("path", sorted((ROOT / "templates").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_template_is_a_config_of_its_command(path: Path) -> None:
    _check_yaml(path)


def _check_yaml(path: Path) -> None:
    """A config is one of its command; a matrix makes configs, each of which is."""
    layer = file_layer(path)
    if "items" in layer.values:
        assert load_items(path)
    elif "command" in layer.values:
        config = resolve(COMMANDS[layer.values["command"]], [layer]).config
        assert config.command == layer.values["command"]
    else:
        assert generate(load_matrix(path)).files


def test_the_readme_names_every_command() -> None:
    listed = subprocess.run(["labkit", "--help"], capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"^  (\w+)  ", listed.split("Commands:")[1], re.MULTILINE)
    assert len(commands) >= 7
    readme = PAGES[0].read_text()
    assert [command for command in commands if f"`labkit {command}`" not in readme] == []
