"""Secrets do not reach a record, and what is no secret does."""

from __future__ import annotations

import time

import pytest

from labkit.record.redaction import REDACTED, is_secret_name, redact_arguments, redact_environment, redact_text

HF = "hf_" + "AbCdEfGhIj0123456789KlMnOpQrStUvWx"
OPENAI = "sk-proj-" + "a1B2c3D4e5F6g7H8i9J0"
ANTHROPIC = "sk-ant-api03-" + "a1B2c3D4_e5F6-g7H8i9J0"
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
AWS_ID = "AKIA" + "IOSFODNN7EXAMPLE"
AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N"
PRIVATE_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE\n+AAAA=\n-----END OPENSSH PRIVATE KEY-----"

SECRETS = [
    (f"export HF_TOKEN={HF}", HF),
    (f"login({HF!r})", HF),
    (f"key is {OPENAI}.", OPENAI),
    (f"{ANTHROPIC}", ANTHROPIC),
    (f"https://{GITHUB}@github.com/a/b", GITHUB),
    (f"+aws_access_key_id = {AWS_ID}", AWS_ID),
    (f"+AWS_SECRET_ACCESS_KEY={AWS_SECRET}", AWS_SECRET),
    (f'+    aws_secret_access_key: "{AWS_SECRET}"', AWS_SECRET),
    (f"Authorization: Bearer {JWT}", JWT),
    ("Authorization: Bearer abc123def456", "abc123def456"),
    ("git clone https://user:p4ss:w0rd@host.org/x", "p4ss"),
    ("redis://:hunter2@localhost:6379", "hunter2"),
    ("postgres://me:hunter2@db/x?y=1", "hunter2"),
    ("password=hunter2", "hunter2"),
    ("password = 'two words'", "two words"),
    ('"api_key": "hunter2",', "hunter2"),
    ("api-key:hunter2", "hunter2"),
    ('os.environ["WANDB_API_KEY"] = "hunter2"', "hunter2"),
    ("os.environ['HF_TOKEN']='hunter2'", "hunter2"),
    ("client(token='hunter2', timeout=3)", "hunter2"),
    ("accessToken: hunter2", "hunter2"),
    ("my_secret: hunter2", "hunter2"),
    ("db.passwd=hunter2", "hunter2"),
    ("CREDENTIALS=hunter2", "hunter2"),
    (f"before\n+{PRIVATE_KEY}\nafter", "b3BlbnNzaC1rZXktdjE"),
    ("-----BEGIN PRIVATE KEY-----\nMIIEvQ\n", "MIIEvQ"),
]

ORDINARY = [
    "max_new_tokens=16",
    "--tokenizer x",
    "num_tokens: 5",
    "tokens = 5",
    "tokenizer=auto",
    "num_prompt_tokens: 12, num_tokens: 7",
    "eos_token = '</s>'",
    "pad_token=tokenizer.eos_token",
    '"bos_token": "<s>"',
    "seconds_per_token: 0.01",
    "for token in tokens:",
    "token_ids=[1, 2]",
    "monkey=5",
    "keyboard: qwerty",
    "sort_keys=True",
    "secretary: Ms Smith",
    "task.path=./disk-usage-of-many-long-runs.jsonl",
    "runs/eval/20250101T000000Z-task-something-much-longer-0a1b2c",
    "risk-adjusted-return-over-20-years",
    "sk-learn-like-names-have-no-digits",
    "https://huggingface.co/Qwen/Qwen2.5-0.5B",
    "http://localhost:8000/v1",
    "ssh://git@github.com/a/b",
    "s3://bucket/a:b@c",
    "a sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "4eadbeef" * 5,
    "@@ -1,4 +1,4 @@ def score(prompt: Prompt, text: str) -> Score:",
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_secrets_in_a_text(text: str, secret: str) -> None:
    assert secret in text
    redacted = redact_text(text)
    assert secret not in redacted
    assert REDACTED in redacted


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_stays(text: str) -> None:
    assert redact_text(text) == text
    assert redact_arguments([*text.split(" ")]) == text.split(" ")


def test_what_stands_around_a_secret_stays() -> None:
    assert redact_text("client(token='hunter2', timeout=3)") == f"client(token={REDACTED}, timeout=3)"
    assert redact_text(f"before\n{PRIVATE_KEY}\nafter") == f"before\n{REDACTED}\nafter"
    assert redact_text("https://user:pw@host.org/x") == f"https://{REDACTED}@host.org/x"


def test_redacting_twice_changes_nothing_more() -> None:
    for text, _ in SECRETS:
        once = redact_text(text)
        assert redact_text(once) == once


@pytest.mark.parametrize(
    ("arguments", "redacted"),
    [
        (["--api-key", "hunter2", "--seed", "3"], ["--api-key", REDACTED, "--seed", "3"]),
        (["--hf-token", "hunter2"], ["--hf-token", REDACTED]),
        (["--token=two words"], [f"--token={REDACTED}"]),
        (["HF_TOKEN=two words"], [f"HF_TOKEN={REDACTED}"]),
        (["--set", "hub.token=hunter2"], ["--set", f"hub.token={REDACTED}"]),
        (["--token", "--debug"], ["--token", "--debug"]),
        (["--model", HF], ["--model", REDACTED]),
        (["--model", "https://user:pw@host/m"], ["--model", f"https://{REDACTED}@host/m"]),
        (["--max-new-tokens", "16", "--tokenizer", "x"], ["--max-new-tokens", "16", "--tokenizer", "x"]),
        (["--eos-token", "</s>", "--num-tokens=5"], ["--eos-token", "</s>", "--num-tokens=5"]),
        ([], []),
    ],
)
def test_command_lines(arguments: list[str], redacted: list[str]) -> None:
    assert redact_arguments(arguments) == redacted


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("HF_TOKEN", True),
        ("WANDB_API_KEY", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("HF_TOKEN_2", True),
        ("HF_TOKEN2", True),
        ("MY_PASSWORD", True),
        ("GOOGLE_APPLICATION_CREDENTIALS", True),
        ("--api-key", True),
        ("LABKIT_GENERATION__MAX_NEW_TOKENS", False),
        ("TOKENIZERS_PARALLELISM", False),
        ("CUDA_VISIBLE_DEVICES", False),
        ("--eos-token", False),
        ("HF_TOKEN_PATH", False),
        ("--author", False),
        ("APIKEY", True),
        ("auth", True),
    ],
)
def test_names_of_secrets(name: str, secret: bool) -> None:
    assert is_secret_name(name) is secret


def test_an_environment_keeps_its_names() -> None:
    environment = {"HF_TOKEN": "hunter2", "HF_HOME": "/data", "HF_ENDPOINT": "https://u:pw@mirror"}
    assert redact_environment(environment) == {
        "HF_TOKEN": REDACTED,
        "HF_HOME": "/data",
        "HF_ENDPOINT": f"https://{REDACTED}@mirror",
    }


@pytest.mark.parametrize(
    "piece", ["x", "token", "eyJ", "eyJ-", "sk-", "sk-a", "://", "token:", "a_token= ", "://a:", "-----BEGIN "]
)
def test_a_megabyte_on_one_line_takes_no_longer_than_any_other(piece: str) -> None:
    text = piece * (300_000 // len(piece))
    began = time.perf_counter()
    redact_text(text)
    assert time.perf_counter() - began < 3, "quadratic patterns take minutes here"
