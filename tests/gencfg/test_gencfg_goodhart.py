"""The matrix of Goodhart conditions: the published settings, one config a model, and a script that compares them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from matrices import generated, made, write_matrix
from tiny_models import save_model

from labkit.config.base import file_layer, resolve
from labkit.config.commands import EvalConfig
from labkit.gencfg.matrix import find_matrix


def test_one_evaluation_a_condition(tmp_path: Path) -> None:
    plan = made(find_matrix("goodhart_n100"), tmp_path)
    paths = [path for path in plan.states if path.startswith("configs/")]
    assert paths == ["configs/goodhart_n100/baseline.yaml", "configs/goodhart_n100/smaller.yaml"]
    configs = [resolve(EvalConfig, [file_layer(tmp_path / path)]).config for path in paths]
    for config, condition in zip(configs, ("baseline", "smaller"), strict=True):
        assert (config.name, config.task.name, config.seed) == (f"goodhart_{condition}", "goodhart", 42)
        assert (config.temperature, config.num_rollouts, config.generation.top_p) == (0.3, 5, 0.9)
        assert config.generation.max_new_tokens == 512
    assert configs[0].model.id != configs[1].model.id
    assert generated(find_matrix("goodhart_n100")).counted == "2 configs, 1 script, 1 text"


def test_models_of_ones_own_are_evaluated_and_compared_by_the_script(tmp_path: Path) -> None:
    text = find_matrix("goodhart_n100").read_text()
    for seed, name in enumerate(("whole", "compressed")):
        save_model(tmp_path / name, seed=seed, context=512)
    names = "[Qwen/Qwen2.5-1.5B-Instruct, Qwen/Qwen2.5-0.5B-Instruct]"
    assert names in text and "max_new_tokens: 512" in text and "[baseline, smaller]" in text
    text = text.replace(names, f"[{tmp_path / 'whole'}, {tmp_path / 'compressed'}]")
    text = text.replace("[baseline, smaller]", "[whole, int4]").replace("max_new_tokens: 512", "max_new_tokens: 2")
    made(write_matrix(tmp_path, text, "goodhart_n100.yaml"), tmp_path)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    script = tmp_path / "scripts" / "goodhart_n100" / "run.sh"
    done = subprocess.run(
        [script], env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=170, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    assert "dbdk" in done.stdout and "goodhart_int4\tgoodhart_whole\tdbdk\t20\t5" in done.stdout
    found = sorted((tmp_path / "runs" / "eval").iterdir())
    assert [json.loads((run / "run.json").read_text())["name"] for run in found] == ["goodhart_whole", "goodhart_int4"]
