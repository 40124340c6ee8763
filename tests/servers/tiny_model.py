"""Makes a GGUF file of a few megabytes whose answers are chosen in advance; nothing is downloaded.

The engine that loads it is real, so tokens, sampling, grammars, templates, tool parsing, streams, usage and errors are
the server's own. Only the weights are ours: attention and feed-forward add nothing, each token's embedding is one-hot,
and the output matrix is therefore a table "after this token comes that one". A marker like `[[think]]` in the last user
message picks the answer through the chat template. Where a grammar forbids the chosen answer, a fixed preference over
characters closes strings, lists and objects at once, so constrained answers are short and valid.

    python -m tests.servers.tiny_model OUT.gguf
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

HEAD = FEED = 64
NORM_EPSILON = 1e-6
ANSWERS: Mapping[str, tuple[str, ...]] = {
    # The pieces are the tokens: what a stream shows one by one. No piece may occur twice, nor be longer than 32 bytes,
    # or llama-cpp-python loses it.
    "plain": ("Hello", " from", " the", " tiny", " model."),
    # The opening stands alone: from there on the server's grammar rules, and another tool's name can take over.
    "tool": ("<tool_call>", '\n{"name": "get_weather", ', '"arguments": {"city": "Oslo"}}', "\n</tool_call>"),
    "after": ("It", " is", " 18", " degrees."),
    "two": (
        "<tool_call>\n",
        '{"name": "get_weather", ',
        '"arguments": {"city": "Rome"}}',
        "\n</tool_call>\n",
        "<tool_call>\n\n",
        '{"name": "get_weather",',
        ' "arguments": {"city": "Lima"}}',
        "\n\n</tool_call>",
    ),
    "think": ("<think>\n", "Let me", " think", ".\n", "</think>\n\n", "Done", " thinking!"),
    "object": ('{"na', 'me": "A', 'da", "a', 'ge": 36}'),
    "long": tuple(f" w{number}" for number in range(200)),
}
# Highest first: what follows when no answer can go on. A quote beats all but the end, or strings would never close.
PREFERENCE = ('"', "]", "}", ",", ":", "4", "e", "a")

TEMPLATE = """\
{%- set ns = namespace(pick='plain') %}
{%- if tools %}{% set ns.pick = 'tool' %}{{ '<|im_start|>system\\nTools:\\n<tools>' }}
{%- for tool in tools %}{{ '\\n' ~ (tool | tojson) }}{% endfor %}
{{- '\\n</tools>\\nCall one with <tool_call>{"name": ..., "arguments": ...}</tool_call>.<|im_end|>\\n' }}{% endif %}
{%- for message in messages %}
{{- '<|im_start|>' ~ message.role ~ '\\n' }}
{%- if message.role == 'tool' %}{% set ns.pick = 'after' %}
{{- '<tool_response>\\n' ~ message.content ~ '\\n</tool_response>' }}
{%- else %}
{%- if message.reasoning_content %}{{ '<think>\\n' ~ message.reasoning_content ~ '\\n</think>\\n\\n' }}{% endif %}
{%- if message.content %}{{ message.content }}{% endif %}
{%- for call in message.tool_calls or [] %}
{{- '\\n' if message.content or not loop.first else '' }}
{{- '<tool_call>\\n{"name": "' ~ call.function.name ~ '", "arguments": ' }}
{{- call.function.arguments if call.function.arguments is string else call.function.arguments | tojson }}
{{- '}\\n</tool_call>' }}
{%- endfor %}
{%- if message.role == 'user' and message.content is string %}
{%- for name in ['plain', 'two', 'think', 'object', 'long'] %}
{%- if '[[' ~ name ~ ']]' in message.content %}{% set ns.pick = name %}{% endif %}
{%- endfor %}{% endif %}{% endif %}
{{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n<|' ~ ns.pick ~ '|>' }}{% endif %}"""


def byte_letters() -> list[str]:
    """The letter that stands for each byte in a byte-level vocabulary, as GPT-2 chose them."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    spare = iter(range(0x100, 0x200))
    return [chr(byte) if byte in shown else chr(next(spare)) for byte in range(256)]


@dataclass
class Vocabulary:
    """Tokens in order of their numbers, and which follows which."""

    texts: list[str] = field(default_factory=byte_letters)
    kinds: list[int] = field(default_factory=lambda: [gguf.TokenType.NORMAL] * 256)
    follows: dict[int, int] = field(default_factory=dict)
    end: int = -1
    """The number of the token that ends an answer."""

    @property
    def width(self) -> int:
        """Numbers in an embedding: one for each token, rounded up."""
        return -(-len(self.texts) // 64) * 64

    @property
    def merge(self) -> str:
        """The one merge; engines want at least one, and bytes 0 and 1 never meet."""
        return f"{self.texts[0]} {self.texts[1]}"

    def add(self, text: str, kind: int) -> int:
        """Append a token; texts are unique, since the engine finds tokens by them."""
        if text in self.texts:
            raise ValueError(f"{text!r} is a token already")
        self.texts.append(text)
        self.kinds.append(kind)
        return len(self.texts) - 1

    def spell(self, text: str) -> str:
        """Write a text in the letters that stand for its bytes."""
        return "".join(self.texts[byte] for byte in text.encode())


def vocabulary() -> Vocabulary:
    """All tokens: the bytes, the marks of the template, the pieces of the answers."""
    words = Vocabulary()
    words.add(words.texts[0] + words.texts[1], gguf.TokenType.NORMAL)
    words.add("<|im_start|>", gguf.TokenType.CONTROL)
    words.end = words.add("<|im_end|>", gguf.TokenType.CONTROL)
    for name, pieces in ANSWERS.items():
        last = words.add(f"<|{name}|>", gguf.TokenType.CONTROL)
        for piece in pieces:
            token = words.add(words.spell(piece), gguf.TokenType.NORMAL)
            words.follows[last] = token
            last = token
        words.follows[last] = words.end
    return words


def _table(words: Vocabulary) -> npt.NDArray[np.float32]:
    """Row: the next token; column: the one before."""
    table = np.full((len(words.texts), words.width), -60, np.float32)
    table[33:127, :] = 0
    for rank, letter in enumerate(PREFERENCE):
        table[ord(letter), :] = 20 - rank
    table[ord("\\"), :] = -30
    table[words.end, :] = 25
    for before, after in words.follows.items():
        table[after, before] = 60
    return table


def weights(words: Vocabulary) -> dict[str, npt.NDArray[np.float32]]:
    """Tensors of a Llama with one layer, by their names in a GGUF file; matrices are (out, in)."""
    width = words.width
    ones = np.ones(width, np.float32)
    layer = {
        "attn_q": (HEAD, width), "attn_k": (HEAD, width), "attn_v": (HEAD, width), "attn_output": (width, HEAD),
        "ffn_gate": (FEED, width), "ffn_up": (FEED, width), "ffn_down": (width, FEED),
    }  # fmt: skip
    return {
        "token_embd.weight": np.eye(len(words.texts), width, dtype=np.float32),
        # The norm before the output turns a one-hot vector into sqrt(width) at its place; this takes it back to 1.
        "output_norm.weight": ones / np.float32(np.sqrt(width)),
        "output.weight": _table(words),
        "blk.0.attn_norm.weight": ones,
        "blk.0.ffn_norm.weight": ones,
        **{f"blk.0.{name}.weight": np.zeros(shape, np.float32) for name, shape in layer.items()},
    }


def write_tiny_model(path: Path, *, context: int = 32768) -> Path:
    """Write the file and return its path.

    Args:
        path: Where to.
        context: Tokens the model claims to be made for.
    """
    words = vocabulary()
    file = gguf.GGUFWriter(path, "llama")
    file.add_name("tiny")
    file.add_context_length(context)
    file.add_embedding_length(words.width)
    file.add_block_count(1)
    file.add_feed_forward_length(FEED)
    file.add_head_count(1)
    file.add_head_count_kv(1)
    file.add_key_length(HEAD)
    file.add_value_length(HEAD)
    file.add_rope_dimension_count(HEAD)
    file.add_layer_norm_rms_eps(NORM_EPSILON)
    file.add_vocab_size(len(words.texts))
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("gpt-2")
    file.add_token_list(words.texts)
    file.add_token_types(words.kinds)
    file.add_token_merges([words.merge])
    file.add_bos_token_id(words.end)
    file.add_eos_token_id(words.end)
    file.add_pad_token_id(words.end)
    file.add_add_bos_token(False)
    file.add_chat_template(TEMPLATE)
    for name, tensor in weights(words).items():
        file.add_tensor(name, tensor)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return path


if __name__ == "__main__":
    print(write_tiny_model(Path(sys.argv[1])))
