"""Who may import whom, and what a command may not import before it runs."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import labkit

ROOT = Path(labkit.__file__).parent

# The order of the design. A package sees those on earlier steps, and none on its own step.
STEPS = (
    {"errors", "stats"},
    {"config"},
    {"record"},
    {"tasks", "models"},
    {"rollouts"},
    {"train", "rerank", "extract", "compress"},
    {"execute"},
    {"report"},
    {"cli", "__main__"},
)
# These stand beside the order: they see the three, and only the CLI sees them.
ASIDE = {"gencfg": {"errors", "config", "record"}, "remote": {"errors", "config", "record"}}
# Modules that one package of a step shares with another.
SHARED = {("models", "labkit.tasks.base")}  # models read the Prompt type

NEEDS_A_MODEL = ("torch", "transformers", "vllm", "datasets")
NEEDS_DATA = (*NEEDS_A_MODEL, "polars", "numpy")
NEEDS_A_COMMAND = (*NEEDS_DATA, "pydantic")


def package_of(module: str) -> str:
    """`record` of `labkit.record.run`; of `labkit` itself no text."""
    return module.split(".")[1] if "." in module else ""


def module_name(path: Path, root: Path = ROOT) -> str:
    parts = path.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path, root: Path = ROOT) -> Iterator[tuple[int, str]]:
    """Every labkit module that a file imports anywhere, within functions too, with its line."""
    here = module_name(path, root).split(".")
    package = here if path.name == "__init__.py" else here[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            # `from labkit import record` names the package only in its alias.
            for alias in node.names:
                yield node.lineno, f"{origin}.{alias.name}" if origin == "labkit" else origin


def allowed(importer: str, module: str) -> bool:
    imported = package_of(module)
    if imported in ("", "__version__", importer):
        return True
    if importer in ASIDE:
        return imported in ASIDE[importer]
    if imported in ASIDE:
        return importer == "cli"
    position = {name: at for at, step in enumerate(STEPS) for name in step}
    if importer == "__main__":
        return imported == "cli"
    return position[imported] < position[importer] or (importer, module) in SHARED


def test_imports_go_one_way() -> None:
    files = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")
    known = set().union(*STEPS, ASIDE)
    wrong = []
    for path in files:
        importer = package_of(module_name(path))
        assert importer in known, f"labkit.{importer} has no place in the order of this test"
        for line, module in imported_modules(path):
            if module.split(".")[0] == "labkit" and not allowed(importer, module):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {importer} imports {module}")
    assert wrong == []
    assert len(files) > 20


@pytest.mark.parametrize(
    ("importer", "module", "expected"),
    [
        ("record", "labkit.config.base", True),
        ("config", "labkit.record.run", False),
        ("stats", "labkit.errors", False),
        ("models", "labkit.tasks.base", True),
        ("models", "labkit.tasks.registry", False),
        ("tasks", "labkit.models.folder", False),
        ("train", "labkit.rerank.energy", False),
        ("gencfg", "labkit.config", True),
        ("gencfg", "labkit.stats", False),
        ("rollouts", "labkit.gencfg.plan", False),
        ("cli", "labkit.gencfg.plan", True),
        ("errors", "labkit", True),
    ],
)
def test_the_rule_itself(importer: str, module: str, expected: bool) -> None:
    assert allowed(importer, module) is expected


def test_every_form_of_import_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "labkit" / "stats"
    folder.mkdir(parents=True)
    path = folder / "a.py"
    path.write_text(
        "import labkit.record.run\nfrom labkit import config\nfrom labkit.cli.main import main\n"
        "def f():\n    from ..tasks import base\n    from . import summary\n"
    )
    seen = {module for _, module in imported_modules(path, tmp_path / "labkit")}
    assert seen == {"labkit.record.run", "labkit.config", "labkit.cli.main", "labkit.tasks", "labkit.stats"}


IMPORT_EACH = """
import importlib, sys
heavy = set(sys.argv[1].split(","))
for module in sys.argv[2:]:
    importlib.import_module(module)
    if found := sorted(heavy & set(sys.modules)):
        sys.exit(f"importing {module} imports {', '.join(found)}")
"""

HELP_OF_EACH = """
import sys
from labkit.cli.main import app, main
heavy = set(sys.argv[1].split(","))
names = [command.name or command.callback.__name__ for command in app.registered_commands]
names += [group.name for group in app.registered_groups]
for words in [["--help"], ["--version"], *([name, "--help"] for name in names)]:
    sys.argv[1:] = words
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, (words, stop.code)
    if found := sorted(heavy & set(sys.modules)):
        sys.exit(f"labkit {' '.join(words)} imports {', '.join(found)}")
print("commands:", *names)
"""


def run_python(code: str, *arguments: str) -> str:
    """What Python code prints in a process of its own, which must succeed."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout


def test_no_module_of_the_command_line_imports_a_model_library() -> None:
    modules = sorted(module_name(path) for path in (ROOT / "cli").rglob("*.py"))
    assert "labkit.cli.main" in modules
    run_python(IMPORT_EACH, ",".join(NEEDS_A_MODEL), *modules)


def test_importing_the_entry_point_imports_nothing_heavy() -> None:
    run_python(IMPORT_EACH, ",".join(NEEDS_A_COMMAND), "labkit.__main__", "labkit.cli.main", "labkit.cli.console")


def test_no_help_imports_anything_heavy() -> None:
    names = run_python(HELP_OF_EACH, ",".join(NEEDS_DATA)).splitlines()[-1].split()[1:]
    assert {"sample", "perturb"} <= set(names)
