"""The model as it is before the first step: made from nothing, or loaded."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase, Qwen2Config, Qwen2ForCausalLM, set_seed

from labkit.config.commands import TrainConfig
from labkit.config.sections import ModelConfig
from labkit.config.training import ArchitectureConfig, CharacterTokenizerConfig, TokenizerConfig
from labkit.errors import ConfigError
from labkit.models.folder import ModelFolder
from labkit.models.loading import choose_device, load_engine
from labkit.models.torch_engine import TorchEngine
from labkit.train.character_tokenizer import build_character_tokenizer
from labkit.train.tokenizer import build_word_tokenizer


def first_engine(config: TrainConfig, folder: ModelFolder | None) -> TorchEngine:
    """The causal model that a training starts from, on its device.

    Args:
        folder: where `config.model` lies; None where there is none

    Raises:
        ConfigError: it cannot be trained on that device as asked. InputError: the model cannot be loaded.
        MachineError: there is no such device, or not enough memory.
    """
    if config.model is not None and folder is not None:
        check_device(config, config.model.device)
        engine = load_engine(folder, trained_form(config.model))
        engine.model.requires_grad_(True)
        return engine
    return TorchEngine(*made_model(config))


def made_model(
    config: TrainConfig, kind: type[PreTrainedModel] = Qwen2ForCausalLM, **others: Any
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A model made from nothing, drawn with the config's seed, on its device, and its tokenizer.

    Args:
        kind: its class
        others: of its configuration, such as `num_labels`

    Raises:
        ConfigError, MachineError: as `check_device`.
    """
    check_device(config, config.device)
    assert config.architecture is not None and config.tokenizer is not None  # the config class sees to it
    tokenizer = new_tokenizer(config.tokenizer, config.architecture.max_position_embeddings)
    set_seed(config.seed % 2**32)
    model = new_model(config.architecture, tokenizer, kind, **others)
    model.to(device=choose_device(config.device))  # type: ignore[call-arg]
    return model, tokenizer


def trained_form(config: ModelConfig) -> ModelConfig:
    """How a model is loaded to be trained: half precision rounds small updates away, so it is held in float32 unless it is
    asked otherwise."""
    return config.model_copy(update={"dtype": "float32"}) if config.dtype == "auto" else config


def new_model(
    architecture: ArchitectureConfig,
    tokenizer: PreTrainedTokenizerBase,
    kind: type[PreTrainedModel] = Qwen2ForCausalLM,
    **others: Any,
) -> PreTrainedModel:
    """A model with random weights: every matrix is drawn from N(0, initializer_range), every bias is 0."""
    shape = Qwen2Config(
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
        **architecture.model_dump(exclude={"family"}),
        **others,
    )
    return kind(shape)


def new_tokenizer(config: TokenizerConfig, max_length: int) -> PreTrainedTokenizerBase:
    """A tokenizer made from nothing."""
    if isinstance(config, CharacterTokenizerConfig):
        return build_character_tokenizer(max_length=max_length)
    return build_word_tokenizer(integer_range=config.integer_range, words=config.words, max_length=max_length)


def check_device(config: TrainConfig, wanted: str) -> None:
    """Refuse a device that the training cannot be put on as it is asked.

    Raises:
        ConfigError: it cannot. MachineError: there is no such device.
    """
    # The Trainer takes the first GPU that it sees, whatever device the model is on.
    if wanted.startswith("cuda:") and wanted != "cuda:0":
        number = wanted.partition(":")[2]
        raise ConfigError(f"training cannot be put on {wanted}", f"CUDA_VISIBLE_DEVICES={number} makes it the first")
    device = choose_device(wanted)
    if config.optimisation.autocast == "float16" and device.type != "cuda":
        raise ConfigError(
            f"optimisation.autocast: float16 needs a CUDA GPU, and this training is on {device.type}",
            "leave it out, or take bfloat16: --set optimisation.autocast=null",
        )
