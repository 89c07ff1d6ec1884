"""How a config comes together from its layers, and what is said when it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from labkit.config.base import (
    Config,
    Layer,
    Resolved,
    environment_layers,
    file_layer,
    flatten,
    known_keys,
    resolve,
    set_layer,
    stable_digest,
    variable_name,
)
from labkit.config.commands import COMMANDS, PerturbConfig, SampleConfig, SweepConfig
from labkit.config.sections import CountdownTask, PromptFileTask, PythonTask
from labkit.config.yaml_text import dump
from labkit.errors import ConfigError


def sample(*assignments: str) -> SampleConfig:
    return resolve(SampleConfig, [set_layer(assignments)]).config


def complaint(*assignments: str, schema: type[Config] = SampleConfig) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        resolve(schema, [set_layer(assignments)])
    assert caught.value.hint
    return caught.value


def from_environment(environ: Mapping[str, str], schema: type[SweepConfig] = SampleConfig) -> Resolved[SweepConfig]:
    return resolve(schema, environment_layers(environ, [schema, *COMMANDS.values()]))


# Precedence and origins


def test_later_layers_win_and_each_leaf_remembers_its_layer(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("seed: 1\nnum_rollouts: 1\ntask:\n  num_prompts: 1\n  offset: 1\n")
    environ = {"LABKIT_NUM_ROLLOUTS": "2", "LABKIT_TASK__NUM_PROMPTS": "2", "PATH": "/bin"}
    resolved = resolve(
        SampleConfig,
        [
            file_layer(path),
            *environment_layers(environ, [SampleConfig]),
            Layer("flag --num-prompts", {"task.num_prompts": 3}),
            set_layer(["generation.top_k=4"]),
        ],
    )
    config, origins = resolved.config, resolved.origins
    assert isinstance(config.task, CountdownTask)
    assert (config.seed, config.num_rollouts, config.task.num_prompts) == (1, 2, 3)
    assert (config.task.offset, config.generation.top_k, config.generation.top_p) == (1, 4, 1.0)
    assert origins["seed"] == origins["task.offset"] == f"file {path}"
    assert origins["num_rollouts"] == "environment LABKIT_NUM_ROLLOUTS"
    assert origins["task.num_prompts"] == "flag --num-prompts"
    assert origins["generation.top_k"] == "flag --set"
    assert origins["generation.top_p"] == origins["model.id"] == "default"


def test_every_leaf_has_an_origin() -> None:
    resolved = resolve(SampleConfig, [set_layer(["seed=1"])])
    assert set(resolved.origins) == {key for key, _ in flatten(resolved.config.as_json())}


@settings(max_examples=40)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["seed", "num_rollouts", "task.offset", "generation.top_k"]), st.integers(1, 99)
        ),
        max_size=4,
    )
)
def test_a_leaf_is_that_of_the_last_layer_that_names_it(layers: list[dict[str, int]]) -> None:
    resolved = resolve(SampleConfig, [Layer(f"layer {at}", values) for at, values in enumerate(layers)])
    leaves = dict(flatten(resolved.config.as_json()))
    for key in ("seed", "num_rollouts", "task.offset", "generation.top_k"):
        naming = [at for at, values in enumerate(layers) if key in values]
        assert resolved.origins[key] == (f"layer {naming[-1]}" if naming else "default")
        if naming:
            assert leaves[key] == layers[naming[-1]][key]


def test_set_takes_yaml_values_and_whole_sections() -> None:
    config = sample("temperatures=[1e-1, 2]", "name=null", "greedy=false", "generation={top_p: 0.5, top_k: 3}")
    assert (config.temperatures, config.name, config.greedy) == ((0.1, 2.0), None, False)
    assert (config.generation.top_p, config.generation.top_k, config.generation.batch_size) == (0.5, 3, 512)


def test_a_section_given_by_set_says_only_what_it_says() -> None:
    origins = resolve(SampleConfig, [set_layer(["generation={top_p: 0.5}"])]).origins
    assert (origins["generation.top_p"], origins["generation.top_k"]) == ("flag --set", "default")


def test_another_kind_of_task_replaces_the_default_one(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("task: {name: jsonl, path: x.jsonl}\n")
    resolved = resolve(SampleConfig, [file_layer(path)])
    assert resolved.config.task == PromptFileTask(name="jsonl", path=Path("x.jsonl"))
    assert (resolved.origins["task.path"], resolved.origins["task.num_prompts"]) == (f"file {path}", "default")
    assert sample("task.name=python", "task.path=t.py").task == PythonTask(name="python", path=Path("t.py"))


def test_a_layer_can_be_used_again_and_is_not_changed() -> None:
    layer = set_layer(["generation={top_p: 0.5}"])
    before = dict(layer.values)
    resolve(SampleConfig, [layer, set_layer(["generation.top_k=9"])])
    assert dict(layer.values) == before
    assert resolve(SampleConfig, [layer]).config.generation.top_k == 0


def test_variables_of_other_commands_pass_by() -> None:
    assert from_environment({"LABKIT_SIGMAS": "[1]"}) == from_environment({})
    perturbed = from_environment({"LABKIT_SIGMAS": "[1]"}, PerturbConfig).config
    assert perturbed.as_json()["sigmas"] == [1.0]


@pytest.mark.parametrize("schema", COMMANDS.values())
def test_every_key_has_a_variable_of_its_own(schema: type[Config]) -> None:
    keys = set(known_keys(schema))
    assert len({variable_name(key) for key in keys}) == len(keys)


# Unknown keys


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("num_prompts", "task.num_prompts"),
        ("task.num_promts", "task.num_prompts"),
        ("modle.id", "model.id"),
        ("max_new_tokens", "generation.max_new_tokens"),
        ("generation.temperature", "temperatures"),
        ("model.seed", "seed"),
        ("task.generation.top_p", "generation.top_p"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_one_wherever_it_stands(
    tmp_path: Path, wrong: str, right: str
) -> None:
    error = complaint(f"{wrong}=1")
    assert f"--set {wrong}" in error.message
    assert error.hint == f"did you mean `{right}`?"

    path = tmp_path / "a.yaml"
    *sections, last = wrong.split(".")
    path.write_text("".join(f"{'  ' * depth}{name}:\n" for depth, name in enumerate(sections)))
    with path.open("a") as stream:
        stream.write(f"{'  ' * len(sections)}{last}: 1\n")
    with pytest.raises(ConfigError) as caught:
        resolve(SampleConfig, [file_layer(path)])
    assert f"`{wrong}`" in caught.value.message
    assert str(path) in caught.value.message
    assert caught.value.hint == f"did you mean `{right}`?"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("LABKIT_SEEED", "LABKIT_SEED"),
        ("LABKIT_NUM_PROMPTS", "LABKIT_TASK__NUM_PROMPTS"),
        ("LABKIT_TASK_NUM_PROMPTS", "LABKIT_TASK__NUM_PROMPTS"),
    ],
)
def test_a_mistyped_variable_is_refused(wrong: str, right: str) -> None:
    with pytest.raises(ConfigError, match=wrong) as caught:
        from_environment({wrong: "1"})
    assert caught.value.hint == f"did you mean `{right}`?"


def test_a_key_like_no_other_is_to_be_removed() -> None:
    assert complaint("qqqqqq=1").hint == "remove it"
    with pytest.raises(ConfigError) as caught:
        from_environment({"LABKIT_QQQQQQQQQQQQQQQQQQ": "1"})
    assert caught.value.hint == "unset it"


@pytest.mark.parametrize("assignment", ["seed", "=3", " =3"])
def test_set_needs_a_key_and_a_value(assignment: str) -> None:
    with pytest.raises(ConfigError, match="is not key=value") as caught:
        set_layer([assignment])
    assert "--set" in caught.value.hint


# Strictness


@pytest.mark.parametrize(
    ("assignment", "key", "reason"),
    [
        ("seed='1'", "seed", "valid integer"),
        ("seed=true", "seed", "valid integer"),
        ("seed=1.5", "seed", "valid integer"),
        ("seed=-1", "seed", "greater than or equal to 0"),
        ("seed=9223372036854775808", "seed", "less than"),
        ("num_rollouts=true", "num_rollouts", "valid integer"),
        ("num_rollouts=0", "num_rollouts", "greater than or equal to 1"),
        ("greedy=1", "greedy", "valid boolean"),
        ("name=1", "name", "valid string"),
        ("model.id=null", "model.id", "valid string"),
        ("generation.top_p='0.5'", "generation.top_p", "valid number"),
        ("generation.top_p=true", "generation.top_p", "valid number"),
        ("generation.top_p=0", "generation.top_p", "greater than 0"),
        ("generation.top_p=1.1", "generation.top_p", "less than or equal to 1"),
        ("generation.top_p=.nan", "generation.top_p", "finite"),
        ("generation.repetition_penalty=.inf", "generation.repetition_penalty", "finite"),
        ("generation.stop=abc", "generation.stop", "should be a list"),
        ("temperatures=[0.4, 0]", "temperatures[1]", "greater than 0"),
        ("temperatures=[.nan]", "temperatures[0]", "finite"),
        ("temperatures=[-.inf]", "temperatures[0]", "finite"),
        ("temperatures=[]", "temperatures", "at least 1"),
        ("temperatures=1", "temperatures", "should be a list"),
        ("temperatures=[1, 1.0]", "temperatures", "twice"),
        ("task.num_prompts='5'", "task.num_prompts", "valid integer"),
        ("task.number_range=[1, 2, 3]", "task.number_range", "at most 2"),
        ("model=5", "model", "section"),
    ],
)
def test_a_value_is_never_bent_into_shape(assignment: str, key: str, reason: str) -> None:
    error = complaint(assignment)
    assert error.message.startswith(f"{key}: ")
    assert reason in error.message
    assert error.message.endswith(", from flag --set")
    assert "\n" not in error.message, "one fault is one line"


@pytest.mark.parametrize("sigma", ["-0.001", "-.inf", ".nan", ".inf", "'0.1'"])
def test_a_sigma_is_a_finite_number_that_is_not_negative(sigma: str) -> None:
    assert complaint(f"sigmas=[0.1, {sigma}]", schema=PerturbConfig).message.startswith("sigmas[1]: ")


def test_sigma_0_is_the_noise_floor() -> None:
    assert resolve(PerturbConfig, [set_layer(["sigmas=[0, 1e-5]"])]).config.sigmas == (0.0, 1e-5)
    assert "twice" in complaint("sigmas=[0.1, 0.1]", schema=PerturbConfig).message


def test_all_wrong_values_are_listed_at_once() -> None:
    lines = complaint("seed=true", "generation.top_p=2", "temperatures=[0, -1]").message.splitlines()
    keys = ["generation.top_p", "seed", "temperatures[0]", "temperatures[1]"]
    assert sorted(line.partition(":")[0] for line in lines) == keys


def test_messages_name_the_layer_a_value_came_from(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("temperatures: [0]\n")
    with pytest.raises(ConfigError, match=r"temperatures\[0\].*\(got 0\), from file .*a\.yaml"):
        resolve(SampleConfig, [file_layer(path)])
    with pytest.raises(ConfigError, match=r'seed: .*\(got "x"\), from environment LABKIT_SEED'):
        from_environment({"LABKIT_SEED": "x"})


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (
            ["task.name=chess"],
            'task.name: a task\'s name is countdown, goodhart, gsm8k, jsonl, python or world (got "chess"), from flag --set',
        ),
        (["task.name=jsonl"], "task.path: a jsonl task needs it"),
        (
            ["task.name=jsonl", "task.path=x", "task.preset=short"],
            'task.preset: there is no such key in a jsonl task (got "short"), from flag --set',
        ),
        (
            ["task.split=best"],
            "task.split: Input should be 'all', 'train', 'validation' or 'test' (got \"best\"), from flag --set",
        ),
    ],
)
def test_what_is_wrong_with_a_task_is_said_in_the_users_keys(assignments: list[str], message: str) -> None:
    assert complaint(*assignments).message == message


def test_what_is_no_plain_data_is_refused() -> None:
    assert "plain data" in complaint("seed=!!timestamp 2001-01-01").message
    assert "Unicode" in complaint("name=a\udcffb").message


def test_a_long_value_is_shortened_in_the_message() -> None:
    assert len(complaint(f"seed={'x' * 10_000}").message) < 200


def test_a_config_cannot_be_changed() -> None:
    config = sample()
    with pytest.raises(ValidationError, match="frozen"):
        config.seed = 1  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        config.generation.top_p = 0.5  # type: ignore[misc]


# Identity


def test_the_digest_is_pinned() -> None:
    """Another value here means that configs on disk no longer match their digests."""
    assert stable_digest({"b": [1, 0.5, None, True], "a": "ü\n"}) == "3e5b7018d38e7978"
    assert stable_digest({}) == "01e7b720ff566d53"


def test_the_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert stable_digest({"a": 1, "b": {"c": 2, "d": 3}}) == stable_digest({"b": {"d": 3, "c": 2}, "a": 1})
    assert stable_digest([1, 2]) != stable_digest([2, 1])
    one, other = sample("seed=1", "task.offset=2"), sample("task.offset=2", "seed=1")
    assert one.digest() == other.digest()
    assert len({sample(f"seed={seed}").digest() for seed in range(50)}) == 50


def test_equal_configs_share_a_digest_however_they_were_written() -> None:
    assert sample("temperatures=[1]").digest() == sample("temperatures=[1.0]").digest()
    assert sample().digest() == SampleConfig().digest()


def test_a_path_that_is_no_text_has_a_digest_of_its_own() -> None:
    assert stable_digest("runs/\udcff") != stable_digest("runs/\udcfe")


WORD = st.text(st.characters(codec="utf-8"), max_size=12)
CONFIGS = st.builds(
    SampleConfig,
    name=st.none() | WORD,
    seed=st.integers(0, 2**63 - 1),
    num_rollouts=st.integers(1, 2**31 - 1),
    greedy=st.booleans(),
    temperatures=st.lists(st.floats(1e-12, 1e6), min_size=1, max_size=4, unique=True).map(tuple),
    task=st.one_of(
        st.builds(CountdownTask, preset=st.none() | WORD, number_range=st.none() | st.just((1, 9))),
        st.builds(PromptFileTask, name=st.just("jsonl"), path=st.just(Path("a b.jsonl"))),
    ),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CONFIGS)
def test_config_yaml_gives_the_same_config_back(tmp_path: Path, config: SampleConfig) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(dump(config.as_json()).encode())
    again = resolve(SampleConfig, [file_layer(path)]).config
    assert again == config
    assert again.digest() == config.digest()
    assert dump(again.as_json()) == dump(config.as_json())


def test_a_step_in_yaml_is_a_number_or_text() -> None:
    for written in ("250", "'250'"):
        assert sample(f"model.checkpoint={written}").model.checkpoint == "250"
    for written in ("true", "-3", "2.5"):
        assert "checkpoint" in complaint(f"model.checkpoint={written}").message
