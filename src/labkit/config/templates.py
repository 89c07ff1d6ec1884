"""Finding a template: the user's own file or `./templates` first, then those that came with the package."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from labkit.config.base import nearest
from labkit.errors import ConfigError


def template_dirs() -> list[Path]:
    """Folders that are searched, the user's own first. An editable install finds the repository's folder."""
    package = Path(str(resources.files("labkit")))
    return [Path("templates"), package / "templates", package.parents[1] / "templates"]


def search_templates(name: Path) -> Path | None:
    """The first file of that name, with or without `templates/` and `.yaml`, in the folders of templates."""
    if name.parent not in (Path(), Path("templates")):
        return None
    wanted = name.name if name.suffix == ".yaml" else f"{name.name}.yaml"
    found = (folder / wanted for folder in template_dirs())
    return next((path for path in found if os.path.isfile(path)), None)  # False, too, of what is no file name at all


def find_template(name: Path, beside: Path = Path()) -> Path:
    """The file that a name means: a path, or the name of a template with or without `templates/` and `.yaml`.

    Args:
        beside: the folder from which a relative path is meant

    Raises:
        ConfigError: there is none; names the nearest.
    """
    if (beside / name).is_file():
        return beside / name
    if (found := search_templates(name)) is not None:
        return found
    known = sorted({path.stem for folder in template_dirs() for path in folder.glob("*.yaml")})
    guess = nearest(name.stem, known)
    hint = f"did you mean templates/{guess}.yaml?" if guess else f"templates that came with labkit: {', '.join(known)}"
    raise ConfigError(f"there is no config {name}", hint)
