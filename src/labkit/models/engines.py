"""Where loaded models stay between the runs of one process, so that runs of one model load it once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from labkit.config.sections import ModelConfig
from labkit.models.folder import FileStates, ModelFolder, file_states

if TYPE_CHECKING:
    from labkit.models.torch_engine import TorchEngine


class Engines:
    """Loads models, and keeps the one loaded last: a device that holds one may have no room for two.

    Whoever gets an engine may perturb it, and must not change its weights otherwise: a training loads a model of its own.
    """

    def __init__(self, on_load: Callable[[float], None] = lambda load_s: None) -> None:
        """Args: on_load: told of every model that was loaded, and how many seconds it took"""
        self._kept: tuple[object, TorchEngine] | None = None
        self._on_load = on_load

    def load(self, folder: ModelFolder, config: ModelConfig) -> TorchEngine:
        """The engine of a model, unperturbed: the kept one where the folder's files and the settings are the same.

        Raises:
            InputError, MachineError: as `labkit.models.loading.load_engine`.
        """
        from labkit.models.loading import load_engine

        key = (_files(folder), config.dtype, config.device, config.device_map)
        if self._kept is None or self._kept[0] != key or self._kept[1].is_released:
            self.release()  # before the next one needs the room
            began = time.monotonic()
            self._kept = key, load_engine(folder, config)
            self._on_load(time.monotonic() - began)
        engine = self._kept[1]
        engine.perturb(None)
        return engine

    def release(self) -> None:
        """Keep none, for what needs the room or has left the kept one in a state that nobody knows."""
        self._kept = None


def _files(folder: ModelFolder) -> FileStates:
    """Every file of the folder: any of them may say how the model is loaded or asked."""
    return file_states(sorted(path for path in folder.path.iterdir() if path.is_file()))
