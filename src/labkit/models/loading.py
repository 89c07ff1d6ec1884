"""Loading a model folder onto a device, as a torch engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from labkit.config.sections import ModelConfig
from labkit.errors import InputError, MachineError
from labkit.models.folder import ModelFolder
from labkit.models.memory import is_out_of_memory
from labkit.models.torch_engine import TorchEngine


def load_engine(folder: ModelFolder, config: ModelConfig) -> TorchEngine:
    """Load a model and its tokenizer.

    Raises:
        InputError: it is a classifier, its tokenizer has no chat template, or the files do not fit together.
        MachineError: no such device here, or not enough memory.
    """
    quieten_transformers()
    if folder.is_classifier:
        raise InputError(f"{folder.name} is a classifier and writes nothing", "it ranks what others write: --reranker")
    tokenizer = load_tokenizer(folder)
    device = choose_device(config.device)
    with loading_errors(folder, device):
        model = AutoModelForCausalLM.from_pretrained(
            folder.path,
            dtype=dtype_of(config),
            device_map=config.device_map,
            use_safetensors=True,
            local_files_only=True,
        )
        if config.device_map is None:
            model.to(device=device)  # type: ignore[call-arg]
    model.train(False).requires_grad_(False)
    return TorchEngine(model, tokenizer)


def quieten_transformers() -> None:
    """Keep transformers from writing to the terminal while it loads."""
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def dtype_of(config: ModelConfig) -> str | torch.dtype:
    """The number format that a config means, in transformers' terms."""
    return config.dtype if config.dtype == "auto" else getattr(torch, config.dtype)


@contextmanager
def loading_errors(folder: ModelFolder, device: torch.device) -> Iterator[None]:
    """What transformers, torch and safetensors raise while they load a model, in labkit's words."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise MachineError(
                f"{folder.name} does not fit on {device}", "use --dtype bfloat16 or --device-map auto"
            ) from None
        raise InputError(f"cannot load {folder.name}: {error}", "do the weights belong to this config.json?") from None
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise InputError(
            f"cannot load {folder.name}, is a file damaged or cut short? {error}",
            "is the download or the copy complete?",
        ) from None


def choose_device(wanted: str) -> torch.device:
    """The device a config means; `auto` is the first accelerator of this machine, else the CPU.

    Raises:
        MachineError: it is not a device of this machine.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise MachineError(f"there is no device {wanted!r} here: {reason}", "labkit doctor lists the devices") from None
    return device


def load_tokenizer(folder: ModelFolder, *, needs_template: bool = True) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder, with its chat template.

    Args:
        needs_template: false for a model that is not asked in turns

    Raises:
        InputError: it cannot be loaded, or has no chat template.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder.path, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"cannot load the tokenizer of {folder.name}: {error}", "is the copy complete?") from None
    if needs_template and not tokenizer.chat_template:
        raise InputError(
            f"{folder.name} has no chat template, so its prompts would be guesswork",
            "use the instruction-tuned variant, or put a chat_template.jinja beside its tokenizer",
        )
    return tokenizer
