"""Copy a finished training of templates/countdown-tiny.yaml into the package, with an extract of its record.

    labkit train templates/countdown-tiny.yaml && python scripts/ship_tiny.py last

The extract keeps what was asked, with what, and what came out; it leaves out host, hardware, paths, environment and git.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from labkit.record.catalog import find_run
from labkit.record.files import iterate_json_lines, write_json_atomically
from labkit.record.run import Run

TARGET = Path(__file__).parents[1] / "src" / "labkit" / "models" / "builtin" / "countdown-tiny"
KEPT = ("schema", "command", "created", "seed", "config", "config_digest", "base", "base_hash", "score", "score_hash")


def extract(run: Run) -> dict[str, Any]:
    """What of the record says how the model was made, and nothing of where."""
    result = run.result() or {}
    provenance = run.manifest["provenance"]
    kept = {key: run.manifest[key] for key in KEPT}
    kept["config"] = {key: value for key, value in kept["config"].items() if key != "runs_dir"}
    engine = {key: run.manifest["engine"][key] for key in ("name", "version", "dtype", "num_parameters")}
    return kept | {
        "engine": engine,
        "python": provenance["python"],
        "packages": provenance["packages"],
        "first_prompt": run.manifest["first_prompt"],
        "result": {key: result[key] for key in ("num_steps", "metrics", "weights", "timings")},
        "metrics": list(iterate_json_lines(run.metrics_path)),
    }


def main(reference: str) -> None:
    run = find_run(reference, Path("runs"))
    if run.command != "train" or run.status() != "done":
        sys.exit(f"{run.path} is not a finished training")
    shutil.rmtree(TARGET, ignore_errors=True)
    shutil.copytree(run.artifacts_dir / "model", TARGET)
    write_json_atomically(TARGET / "training.json", extract(run))
    size = sum(path.stat().st_size for path in TARGET.iterdir())
    print(json.dumps({"folder": TARGET.name, "bytes": size}))


if __name__ == "__main__":
    main(*sys.argv[1:])
