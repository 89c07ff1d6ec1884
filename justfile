# `just` alone checks and tests.
default: check test

# Everything that is right before anything is run.
check: lint types startup

lint:
    ruff check .
    ruff format --check .

types:
    mypy

# The import rule, and what each command may import before it runs.
startup:
    pytest tests/test_imports.py

test *args:
    pytest -n 2 {{ args }}

# Minutes: many kills, the training of the tiny model, the full sweeps.
slow:
    pytest -m slow -rs

# The world-cities experiment in small, about 20 minutes; `just slow` checks what it finds.
exp1-tiny folder="exp1-tiny":
    scripts/exp1_tiny.sh {{ folder }}

# Best-of-N on word problems in small, about a quarter of an hour; `just slow` checks what it finds.
gsm8k-tiny folder="gsm8k-tiny":
    scripts/gsm8k_tiny.sh {{ folder }}

smoke:
    labkit perturb --sigma 0.001 --debug --runs-dir "$(mktemp -d)"

# Prints the tables that benchmarks/README.md keeps.
bench:
    python benchmarks/startup.py
    python benchmarks/rows.py
    python benchmarks/scoring.py
    python benchmarks/stats.py
    python benchmarks/noise.py
    python benchmarks/gencfg.py
    python benchmarks/world_data.py
    python benchmarks/evaluation.py
    python benchmarks/checks.py
    python benchmarks/representations.py
    python benchmarks/report.py
    python benchmarks/explorer.py
    python benchmarks/world_report.py
    python benchmarks/goodhart_report.py
    python benchmarks/run_many.py

format:
    ruff check --fix .
    ruff format .
