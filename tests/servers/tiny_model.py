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

CALL = '{{"name": "get_weather", "arguments": {{"city": "{city}"}}}}'
ANSWERS: Mapping[str, tuple[str, ...]] = {
    # The pieces are the tokens: what a stream shows one by one. No piece may occur twice.
    "plain": ("Hello", " from", " the", " tiny", " model."),
    # The opening stands alone: from there on the server's grammar rules, and another tool's name can take over.
    "tool": ("<tool_call>", "\n" + CALL.format(city="Oslo"), "\n</tool_call>"),
    "after": ("It", " is", " 18", " degrees."),
    "two": (
        "<tool_call>\n",
        CALL.format(city="Rome"),
        "\n</tool_call>\n",
        "<tool_call>\n\n",
        CALL.format(city="Lima"),
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


def _vocabulary() -> tuple[Vocabulary, int]:
    words = Vocabulary()
    # The engine wants at least one merge; bytes 0 and 1 never meet.
    words.add(words.texts[0] + words.texts[1], gguf.TokenType.NORMAL)
    words.add("<|im_start|>", gguf.TokenType.CONTROL)
    end = words.add("<|im_end|>", gguf.TokenType.CONTROL)
    for name, pieces in ANSWERS.items():
        last = words.add(f"<|{name}|>", gguf.TokenType.CONTROL)
        for piece in pieces:
            token = words.add(words.spell(piece), gguf.TokenType.NORMAL)
            words.follows[last] = token
            last = token
        words.follows[last] = end
    return words, end


def _table(words: Vocabulary, end: int, width: int) -> npt.NDArray[np.float32]:
    """Row: the next token; column: the one before."""
    table = np.full((len(words.texts), width), -60, np.float32)
    table[33:127, :] = 0
    for rank, letter in enumerate(PREFERENCE):
        table[ord(letter), :] = 20 - rank
    table[ord("\\"), :] = -30
    table[end, :] = 25
    for before, after in words.follows.items():
        table[after, before] = 60
    return table


def write_tiny_model(path: Path, *, context: int = 32768) -> Path:
    """Write the file and return its path.

    Args:
        path: Where to.
        context: Tokens the model claims to be made for.
    """
    words, end = _vocabulary()
    width = -(-len(words.texts) // 64) * 64
    head = feed = 64
    file = gguf.GGUFWriter(path, "llama")
    file.add_name("tiny")
    file.add_context_length(context)
    file.add_embedding_length(width)
    file.add_block_count(1)
    file.add_feed_forward_length(feed)
    file.add_head_count(1)
    file.add_head_count_kv(1)
    file.add_key_length(head)
    file.add_value_length(head)
    file.add_rope_dimension_count(head)
    file.add_layer_norm_rms_eps(1e-6)
    file.add_vocab_size(len(words.texts))
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("gpt-2")
    file.add_token_list(words.texts)
    file.add_token_types(words.kinds)
    file.add_token_merges([f"{words.texts[0]} {words.texts[1]}"])
    file.add_bos_token_id(end)
    file.add_eos_token_id(end)
    file.add_pad_token_id(end)
    file.add_add_bos_token(False)
    file.add_chat_template(TEMPLATE)
    shapes = {
        "attn_q.weight": (head, width), "attn_k.weight": (head, width), "attn_v.weight": (head, width),
        "attn_output.weight": (width, head), "ffn_gate.weight": (feed, width), "ffn_up.weight": (feed, width),
        "ffn_down.weight": (width, feed),
    }  # fmt: skip
    ones = np.ones(width, np.float32)
    file.add_tensor("token_embd.weight", np.eye(len(words.texts), width, dtype=np.float32))
    # The norm before the output turns a one-hot vector into sqrt(width) at its place; this takes it back to 1.
    file.add_tensor("output_norm.weight", ones / np.float32(np.sqrt(width)))
    file.add_tensor("output.weight", _table(words, end, width))
    for name in ("attn_norm.weight", "ffn_norm.weight"):
        file.add_tensor(f"blk.0.{name}", ones)
    for name, shape in shapes.items():
        file.add_tensor(f"blk.0.{name}", np.zeros(shape, np.float32))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return path


if __name__ == "__main__":
    print(write_tiny_model(Path(sys.argv[1])))
