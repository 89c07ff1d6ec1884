"""Which files are carried out, and what is said of those that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from queues import EVAL, TRAINING, items_of, write_config, write_evaluations

from labkit.errors import ConfigError
from labkit.execute.items import read_items


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def complaint(*paths: Path, environ: dict[str, str] | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read_items(paths, environ or {})
    return caught.value


def test_a_folder_gives_its_configs_in_order_and_passes_over_the_rest() -> None:
    for name in ("b/two.yaml", "a/deep/one.yml", "b/ten.yaml", ".hidden/no.yaml", "runs/eval/r1/config.yaml"):
        write_config(Path("configs") / name, EVAL, name=Path(name).stem)
    Path("configs/runs/eval/r1/run.json").write_text("{}")
    Path("configs/matrix.yaml").write_text("base: {command: eval}\naxes: {seed: [1, 2]}\n")
    Path("configs/gencfg.json").write_text('{"command": "eval"}')
    Path("configs/all.sh").write_text("command: eval")
    Path("configs/other.yaml").write_text("command: deploy\n")
    assert [item.name for item in items_of(Path("configs"))] == [
        "configs/a/deep/one.yml", "configs/b/ten.yaml", "configs/b/two.yaml",
    ]  # fmt: skip


def test_files_of_other_programs_stop_nothing_and_are_counted() -> None:
    config = write_config(Path("c/good.yaml"), EVAL)
    for name, text in {
        "list": "- one\n- two\n", "documents": "kind: a\n---\nkind: b\n", "tag": "where: !Ref bucket\n", "empty": "",
        "service": "command: deploy\n", "number": "command: 3\n", "latin": "name: caf\xe9\n",
    }.items():  # fmt: skip
        Path(f"c/{name}.yaml").write_text(text, encoding="latin-1")
    items, notes = read_items([Path("c")], {})
    assert [item.name for item in items] == [str(config)]
    named = ", ".join(f"c/{name}.yaml" for name in ("documents", "empty", "latin", "list", "number"))
    assert notes == [f"passed over, because they are no configs: {named} and 2 more"]


def test_a_key_that_is_nearly_command_is_no_other_program() -> None:
    write_config(Path("c/good.yaml"), EVAL)
    Path("c/odd.yaml").write_text("comand: sample\n")
    error = complaint(Path("c"))
    assert "c/odd.yaml has the key 'comand'" in str(error.message) and "command" in f"{error.message}{error.hint}"


def test_a_mistyped_folder_is_guessed() -> None:
    write_config(Path("configs/slow/good.yaml"), EVAL)
    error = complaint(Path("configs/slwo"))
    assert "there is no file or folder configs/slwo" in error.message
    assert "did you mean configs/slow?" in f"{error.message}{error.hint}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("command: evla\n", "is for the command 'evla' (did you mean eval?)"),
        ("command: Train\n", "did you mean train?"),
        ("command: eval\n---\ncommand: eval\n", "mine.yaml, line 2"),
        ("seed: 1\n'command': eval\nmodel: !Ref x\n", "mine.yaml, line 3"),
    ],
)
def test_a_file_of_a_folder_that_was_meant_to_be_a_config(text: str, words: str) -> None:
    Path("c").mkdir()
    Path("c/mine.yaml").write_text(text)
    assert words in complaint(Path("c")).message


def test_each_file_counts_once_and_so_does_what_two_files_ask() -> None:
    one = write_config(Path("c/one.yaml"), EVAL)
    write_config(Path("c/two.yaml"), EVAL)
    write_config(Path("c/elsewhere.yaml"), EVAL, runs_dir="other")
    items, notes = read_items([one, Path("c"), Path("./c/one.yaml")], {})
    assert [item.name for item in items] == ["c/one.yaml", "c/elsewhere.yaml"]
    assert notes == ["c/two.yaml asks the same as c/one.yaml: it is carried out once"]


def test_what_two_ways_of_writing_a_config_share() -> None:
    (item,) = items_of(write_config(Path("a.yaml"), EVAL, runs_dir="runs"))
    (again,) = items_of(write_config(Path("b.yaml"), EVAL, temperature=0, runs_dir="./runs/"))
    (other,) = items_of(write_config(Path("c.yaml"), EVAL, seed=7))
    assert item.identity == again.identity and item.log_path == again.log_path
    assert other.digest != item.digest


def test_all_errors_are_said_at_once() -> None:
    write_config(Path("c/good.yaml"), EVAL)
    write_config(Path("c/key.yaml"), EVAL, tempratur=1)
    write_config(Path("c/type.yaml"), EVAL, seed="many")
    Path("c/broken.yaml").write_text("command: eval\nseed: [1\n")
    error = complaint(Path("c"), Path("c/nothing.yaml"))
    for words in (
        "`tempratur` (file c/key.yaml)", "did you mean `temperature`?", "seed: ", "from file c/type.yaml",
        "c/broken.yaml, line", "there is no file or folder c/nothing.yaml",
    ):  # fmt: skip
        assert words in error.message
    assert "good.yaml" not in error.message


def test_of_very_many_errors_the_first_are_shown() -> None:
    for number in range(30):
        write_config(Path(f"c/{number:02}.yaml"), EVAL, seed=-1)
    lines = complaint(Path("c")).message.splitlines()
    assert len(lines) == 21 and lines[-1] == "and 10 more"


@pytest.mark.parametrize(
    ("text", "words"),
    [("base: 1\n", "has no `command:`"), ("command: deploy\n", "for the command 'deploy'"), ("[1]\n", "key: value")],
)
def test_a_named_file_that_is_no_config(text: str, words: str) -> None:
    Path("mine.yaml").write_text(text)
    error = complaint(Path("mine.yaml"))
    assert "mine.yaml" in error.message and words in error.message


def test_a_folder_without_configs() -> None:
    Path("empty").mkdir()
    assert "there is no config in empty" in complaint(Path("empty")).message


def test_the_environment_stands_above_the_files() -> None:
    write_evaluations(Path("c"), 2)
    environ = {"LABKIT_RUNS_DIR": "there", "LABKIT_TASK__NUM_PROMPTS": "9"}
    items = items_of(Path("c"), environ=environ)
    assert {(str(item.runs_dir), item.config.task.num_prompts) for item in items} == {("there", 9)}
    error = complaint(Path("c"), environ={"LABKIT_TASK__NUM_PROMPT": "9"})
    assert error.message == "the environment variable LABKIT_TASK__NUM_PROMPT is no config key"


def test_cities_are_not_asked_of_the_model_that_knows_none() -> None:
    write_config(Path("c/a.yaml"), command="eval", task__name="world")
    write_config(Path("c/b.yaml"), command="extract")
    error = complaint(Path("c"))
    assert error.message.count("which model?") == 2 and "c/a.yaml" in error.message and "c/b.yaml" in error.message


def test_a_shipped_template_is_found_by_its_name() -> None:
    (item,) = items_of(Path("countdown-tiny"))
    assert item.command == "train" and item.name.endswith("countdown-tiny.yaml")


def test_which_items_share_a_loaded_model() -> None:
    def model(**values: object) -> str | None:
        (item,) = items_of(write_config(Path("x.yaml"), EVAL, **values))
        return item.model

    assert model(seed=1) == model(seed=2, runs_dir="elsewhere") == model(command="perturb", sigmas=[0.1])
    others = [
        {"model__id": "./folder"}, {"model__checkpoint": "last"}, {"model__dtype": "bfloat16"}, {"model__device": "cpu"},
        {"model__id": "run:a"}, {"model__id": "run:a", "runs_dir": "elsewhere"},
    ]  # fmt: skip
    assert len({model(), *(model(**values) for values in others)}) == len(others) + 1
    city_reader = {"command": "extract", "model": {"id": "run:a"}}
    states = [items_of(write_config(Path("y.yaml"), city_reader, **more))[0] for more in ({}, {"checkpoints": "all"})]
    assert [item.model == model(model__id="run:a") for item in states] == [True, False]
    (training,) = items_of(write_config(Path("z.yaml"), TRAINING))
    assert training.model is None
