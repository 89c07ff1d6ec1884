"""The tokenizer of the world-cities experiment: one token a character, and a space that only stands between tokens.

`dist(c_0865,c_4879)=` and `d i s t ( c _ 0 8 6 5 , …` are the same tokens, and decoding writes no spaces.
"""

from __future__ import annotations

from tokenizers import Regex, Tokenizer, decoders
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import PreTrainedTokenizerFast

from labkit.tasks.world.vocabulary import BOS, EOS, PAD, UNKNOWN, VOCABULARY
from labkit.train.tokenizer import KEEP_OWN_CLASS

# A model of this kind continues a question; there are no turns, and nothing but the question is written.
CHAT_TEMPLATE = (
    "{%- if messages|length != 1 or messages[0]['role'] != 'user' -%}"
    "{{- raise_exception('this model takes a single message of the user') -}}"
    "{%- endif -%}"
    "{{- '" + BOS + "' + messages[0]['content'] -}}"
)


def build_character_tokenizer(*, max_length: int = 512) -> PreTrainedTokenizerFast:
    """A tokenizer of the 98 tokens of `labkit.tasks.world.vocabulary`, with their ids.

    Other characters become `<unk>`. Padding is on the left, as generation needs it.

    Args:
        max_length: tokens of context that the model has
    """
    backend = Tokenizer(WordLevel({token: index for index, token in enumerate(VOCABULARY)}, unk_token=UNKNOWN))
    backend.pre_tokenizer = Split(Regex(r"\S"), behavior="removed", invert=True)  # keeps the matches, drops the spaces
    backend.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        pad_token=PAD,
        unk_token=UNKNOWN,
        bos_token=BOS,
        eos_token=EOS,
        padding_side="left",
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
        auto_map=KEEP_OWN_CLASS,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
