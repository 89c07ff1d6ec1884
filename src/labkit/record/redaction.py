"""No secret reaches a record: values of variables named like secrets, and text shaped like known tokens.

Every pattern starts at a fixed word and looks a bounded way around it, so that a diff with a megabyte on one line
takes no longer than any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

REDACTED = "[redacted]"

# A tokenizer's own tokens and counts are no secrets: eos_token, next_token, time_per_token.
_ORDINARY_TOKENS = (
    "bos", "cls", "end", "eos", "first", "image", "last", "mask", "new", "next", "pad", "per", "sep", "start", "stop",
    "unk",
)  # fmt: skip
_TOKEN = "".join(f"(?<!{word}_)" for word in _ORDINARY_TOKENS) + "token"
_SECRET_NAME = re.compile(
    rf"(?:{_TOKEN}|(?<![a-z])key|apikey)(?:_?\d+)?$|(?:secret|password|passwd|credentials?|auth)(?:[_\d]|$)",
    re.IGNORECASE,
)
_FLAG = re.compile(r"(-{0,2}[\w.-]+)=(.*)", re.DOTALL)
_SECRET_ASSIGNMENT = re.compile(
    rf"((?:(?<![A-Za-z0-9])(?i:{_TOKEN}|(?:api|access|secret|private|auth)[_-]?key|secret|password|passwd|credentials?)"
    r"|(?<=[a-z])(?:Token|ApiKey|AccessKey|SecretKey|PrivateKey|Secret|Password))"
    r"[\"']?\]?[ \t]{0,4}[=:][ \t]{0,4})"  # also "token": and environ["HF_TOKEN"] =
    r"(\"[^\"\n]*\"|'[^'\n]*'|[^\s,;&\"']+)"
)
_TOKEN_SHAPES = re.compile(
    r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{16,}"  # Hugging Face
    r"|(?<![A-Za-z0-9])sk-(?=[A-Za-z_-]{0,100}[0-9])[A-Za-z0-9_-]{16,}"  # OpenAI, Anthropic; no disk-usage-of-a-run
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"  # AWS access key ids
    r"|xox[abprs]-[A-Za-z0-9-]{10,}"  # Slack
    r"|AIza[A-Za-z0-9_-]{30,}"  # Google
    r"|eyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"  # JSON web tokens
    r"|(?<=[Bb]earer )[A-Za-z0-9._~+/=-]{8,}"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"  # user:password@host
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
    re.DOTALL,
)


def is_secret_name(name: str) -> bool:
    """Whether a variable or flag of this name holds a secret: `HF_TOKEN`, `--api-key`."""
    return bool(_SECRET_NAME.search(name.replace("-", "_")))


def redact_text(text: str) -> str:
    """`text` with everything that looks like a secret replaced."""
    return _SECRET_ASSIGNMENT.sub(rf"\1{REDACTED}", _TOKEN_SHAPES.sub(REDACTED, text))


def redact_arguments(arguments: Sequence[str]) -> list[str]:
    """A command line without secrets; the value after `--api-key` goes too."""
    redacted = []
    for position, argument in enumerate(arguments):
        before = arguments[position - 1] if position else ""
        follows_secret = before.startswith("-") and "=" not in before and is_secret_name(before)
        assignment = _FLAG.fullmatch(argument)
        if follows_secret and not argument.startswith("-"):
            redacted.append(REDACTED)
        elif assignment and is_secret_name(assignment[1]):
            redacted.append(f"{assignment[1]}={REDACTED}")
        else:
            redacted.append(redact_text(argument))
    return redacted


def redact_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables without secrets."""
    return {name: REDACTED if is_secret_name(name) else redact_text(text) for name, text in environment.items()}
