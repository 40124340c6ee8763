"""The tiny model as a folder that vLLM and transformers load: the same tokens, weights and template as the GGUF file.

python -m tests.servers.tiny_checkpoint FOLDER
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

from tests.servers.tiny_model import FEED, HEAD, NORM_EPSILON, TEMPLATE, Vocabulary, vocabulary, weights

_PARTS = {
    "token_embd": "embed_tokens",
    "output_norm": "norm",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def write_tiny_checkpoint(folder: Path, *, context: int = 4096) -> Path:
    """Write the folder and return its path.

    Args:
        folder: Where to; made if it is not there.
        context: Tokens the model claims to be made for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = vocabulary()
    _write_safetensors(folder / "model.safetensors", {_name(key): value for key, value in weights(words).items()})
    for name, content in {
        "config.json": _config(words, context),
        "generation_config.json": {"eos_token_id": words.end, "pad_token_id": words.end, "do_sample": False},
        "tokenizer.json": _tokenizer(words),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": words.texts[words.end],
            "pad_token": words.texts[words.end], "model_max_length": context, "chat_template": TEMPLATE,
            "clean_up_tokenization_spaces": False,
        },
    }.items():  # fmt: skip
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return folder


def _name(tensor: str) -> str:
    if tensor == "output.weight":
        return "lm_head.weight"
    part = tensor.removesuffix(".weight")
    layer = "layers.0." if part.startswith("blk.0.") else ""
    return f"model.{layer}{_PARTS[part.removeprefix('blk.0.')]}.weight"


def _config(words: Vocabulary, context: int) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "torch_dtype": "float32",
        "vocab_size": len(words.texts), "hidden_size": words.width, "intermediate_size": FEED,
        "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": HEAD,
        "max_position_embeddings": context, "rms_norm_eps": NORM_EPSILON, "tie_word_embeddings": False,
        "bos_token_id": words.end, "eos_token_id": words.end, "pad_token_id": words.end,
    }  # fmt: skip


def _tokenizer(words: Vocabulary) -> dict[str, Any]:
    """In the format of the `tokenizers` library."""
    marks = [at for at, kind in enumerate(words.kinds) if kind == gguf.TokenType.CONTROL]
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    by_byte = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None,
        "added_tokens": [{"id": at, "content": words.texts[at], **plain} for at in marks],
        "pre_tokenizer": by_byte, "post_processor": None, "decoder": by_byte,
        "model": {
            "type": "BPE", "vocab": {text: at for at, text in enumerate(words.texts)}, "merges": [words.merge],
            "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
            "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
        },
    }  # fmt: skip


def _write_safetensors(path: Path, tensors: Mapping[str, npt.NDArray[np.float32]]) -> None:
    """The format is a header's length in 8 bytes, the header in JSON, and the numbers."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [offset, offset + tensor.nbytes]}
        offset += tensor.nbytes
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with path.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor, "<f4").tobytes())


if __name__ == "__main__":
    print(write_tiny_checkpoint(Path(sys.argv[1])))
