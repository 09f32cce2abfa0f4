"""The real embedded model, from the user's cache (converted on the first run), loaded once a session."""

from pathlib import Path

import pytest
import torch

from gedanken.prompts import LocalChatModel

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def local() -> LocalChatModel:
    return LocalChatModel(max_tokens=24)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a random Llama of two small layers, with a byte-level tokenizer, as anybody may have one."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: n for n, c in enumerate([*alphabet, "<end>"])}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(alphabet) + 1, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=2048, eos_token_id=len(alphabet), bos_token_id=None,
        initializer_range=0.6,  # so that what it says depends on what it is asked
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("models") / "tiny"
    LlamaForCausalLM(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(folder)
    return folder


@pytest.fixture
def tiny(tiny_folder: Path) -> LocalChatModel:
    return LocalChatModel(model=str(tiny_folder), max_tokens=12)
