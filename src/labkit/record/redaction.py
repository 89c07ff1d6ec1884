"""No secret reaches a record: values of variables named like secrets, and text shaped like known tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

REDACTED = "[redacted]"

_SECRET_NAME = re.compile(r"(?:TOKEN|KEY|SECRET|PASSWORD|PASSWD|CREDENTIALS?|AUTH)(?:_|$)", re.IGNORECASE)
_SECRET_ARGUMENT = re.compile(
    r"(?i)((?:[\w.-]*[_.-])?(?:token|api[_-]?key|secret|password|passwd|credentials?)\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&]+)"
)
_TOKEN_SHAPES = re.compile(
    r"hf_[A-Za-z0-9]{16,}"  # Hugging Face
    r"|sk-[A-Za-z0-9_-]{16,}"  # OpenAI, Anthropic
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"  # AWS access key ids
    r"|xox[abprs]-[A-Za-z0-9-]{10,}"  # Slack
    r"|AIza[A-Za-z0-9_-]{30,}"  # Google
    r"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"  # JSON web tokens
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"  # user:password@host
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)


def is_secret_name(name: str) -> bool:
    """Whether a variable or flag of this name holds a secret: `HF_TOKEN`, `--api-key`."""
    return bool(_SECRET_NAME.search(name.replace("-", "_")))


def redact_text(text: str) -> str:
    """`text` with everything that looks like a secret replaced."""
    return _SECRET_ARGUMENT.sub(rf"\1{REDACTED}", _TOKEN_SHAPES.sub(REDACTED, text))


def redact_arguments(arguments: Sequence[str]) -> list[str]:
    """A command line without secrets; the value after `--api-key` goes too."""
    redacted = []
    for position, argument in enumerate(arguments):
        before = arguments[position - 1] if position else ""
        follows_secret = before.startswith("-") and "=" not in before and is_secret_name(before)
        redacted.append(REDACTED if follows_secret and not argument.startswith("-") else redact_text(argument))
    return redacted


def redact_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables without secrets."""
    return {name: REDACTED if is_secret_name(name) else redact_text(text) for name, text in environment.items()}
