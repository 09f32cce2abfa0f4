"""The real embedded model, from the user's cache (converted on the first run), loaded once a session."""

import pytest
import torch

from gedanken.prompts import LocalChatModel

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def local() -> LocalChatModel:
    return LocalChatModel(max_tokens=24)
