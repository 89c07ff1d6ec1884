"""A word-level tokenizer with a chat template, for models that are trained from scratch.

One token for every integer of a range and every listed word, so that a model of under a million parameters can spend
itself on arithmetic and not on spelling. Spaces carry no meaning: `(44+19)` and `( 44 + 19 )` are the same tokens, and
decoding puts one space between tokens. Knows nothing of tasks; models that have a tokenizer keep theirs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import PreTrainedTokenizerFast

from labkit.errors import ConfigError

PAD = "<pad>"
UNKNOWN = "<unk>"
END_OF_TURN = "<|end|>"
ROLE_MARKERS = ("<|system|>", "<|user|>", "<|assistant|>")

# AutoTokenizer silently replaces the tokenizer of every `qwen2` folder by Qwen's own, which takes numbers apart
# (transformers 5.17, MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS). An entry for code of one's own, here naming none,
# makes it take the class that the folder names.
KEEP_OWN_CLASS = {"AutoTokenizer": [None, None]}

# The next marker ends a turn that was written for the model; only its own turns need a token that it can stop with.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|' + message['role'] + '|>' + message['content'] -}}"
    "{%- if message['role'] == 'assistant' -%}{{- '" + END_OF_TURN + "' -}}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)


def build_word_tokenizer(
    *, integer_range: tuple[int, int], words: Sequence[str], max_length: int
) -> PreTrainedTokenizerFast:
    """A tokenizer whose vocabulary is the specials, the words as listed, and every integer of the range.

    Text outside the vocabulary becomes `<unk>`, one for each number, word or symbol. Padding is on the left, as
    generation needs it.

    Args:
        integer_range: the smallest and the largest integer with a token, both included; not negative
        words: other tokens, such as `+`, `</answer>` or `Then`; decoding keeps them
        max_length: tokens of context that the model has

    Raises:
        ConfigError: the range is empty, or a word is empty, repeated, a number, or holds a space.
    """
    first, last = integer_range
    if not 0 <= first <= last:
        raise ConfigError(f"tokenizer.integer_range is [{first}, {last}]", "give two integers with 0 <= first <= last")
    _check_words(words)
    specials = [PAD, UNKNOWN, *ROLE_MARKERS, END_OF_TURN]
    tokens = [*specials, *words, *map(str, range(first, last + 1))]
    backend = Tokenizer(WordLevel({token: index for index, token in enumerate(tokens)}, unk_token=UNKNOWN))
    # Keeps the matches and drops what lies between them, which can only be white space.
    backend.pre_tokenizer = Split(Regex(_piece_pattern(words)), behavior="removed", invert=True)
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        pad_token=PAD,
        unk_token=UNKNOWN,
        eos_token=END_OF_TURN,
        extra_special_tokens=list(ROLE_MARKERS),
        padding_side="left",
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
        auto_map=KEEP_OWN_CLASS,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _check_words(words: Sequence[str]) -> None:
    for position, word in enumerate(words):
        reason = (
            "is empty or holds a space"
            if not word or re.search(r"\s", word)
            else "is a number; numbers come from integer_range"
            if word.isdecimal()
            else "stands there twice"
            if word in words[:position]
            else "is taken for a special token"
            if word in (PAD, UNKNOWN, END_OF_TURN, *ROLE_MARKERS)
            else None
        )
        if reason:
            raise ConfigError(f"tokenizer.words: {word!r} {reason}", "correct the list")


def _piece_pattern(words: Sequence[str]) -> str:
    """Words with symbols in them first, longest first, so that `</answer>` is not taken apart; then runs of digits,
    runs of letters, and single symbols."""
    symbols = sorted((word for word in words if not word.isalpha()), key=lambda word: (-len(word), word))
    return "|".join([*map(_escape, symbols), r"\d+", r"[^\W\d]+", r"[^\w\s]"])


def _escape(word: str) -> str:
    """Python's `re.escape` escapes what Oniguruma, the engine of `tokenizers`, reads otherwise (`\\<`)."""
    return re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", word)
