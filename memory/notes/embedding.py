"""An embedding model as memory uses it: named, its answers checked, its failures told in a way one can act on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...errors import GedankenError
from ..vectors import unit

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings


class Embedder:
    """Texts to vectors of length 1. `model` names the vectors; by default it is the name of the class of `embeddings`
    and of its `model_name` or `model`, where it has one."""

    def __init__(self, embeddings: Embeddings, model: str | None = None) -> None:
        self._embeddings = embeddings
        inner = getattr(embeddings, "model_name", None) or getattr(embeddings, "model", None)
        self.model = model or type(embeddings).__name__ + (f":{inner}" if isinstance(inner, str) else "")

    def texts(self, texts: list[str]) -> np.ndarray:
        """Float32 `[N, D]`. Raises `GedankenError` where the model fails, or gives anything else."""
        with self._blamed():
            vectors = self._embeddings.embed_documents(texts)
        return self._checked(vectors, len(texts))

    def query(self, text: str) -> np.ndarray:
        """Float32 `[D]`; errors as `texts`."""
        with self._blamed():
            vector = self._embeddings.embed_query(text)
        return self._checked([vector], 1)[0]

    async def atexts(self, texts: list[str]) -> np.ndarray:
        """`texts`, awaited."""
        with self._blamed():
            vectors = await self._embeddings.aembed_documents(texts)
        return self._checked(vectors, len(texts))

    async def aquery(self, text: str) -> np.ndarray:
        """`query`, awaited."""
        with self._blamed():
            vector = await self._embeddings.aembed_query(text)
        return self._checked([vector], 1)[0]

    @contextlib.contextmanager
    def _blamed(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise GedankenError(
                f"embedding model '{self.model}' failed ({type(error).__name__}: {error}); mend it, or search by "
                "words with Retrieval(memory)"
            ) from error

    def _checked(self, given: Sequence[Sequence[float]], count: int) -> np.ndarray:
        with self._blamed():
            vectors = np.asarray(given, np.float32)
        if vectors.ndim != 2 or len(vectors) != count or not np.isfinite(vectors).all():
            raise GedankenError(
                f"embedding model '{self.model}' gave no {count} finite vectors (shape {vectors.shape}); mend it, or "
                "search by words with Retrieval(memory)"
            )
        return unit(vectors)
