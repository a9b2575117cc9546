"""Text encoders: tokens in, mean-pooled features out, and their layers in order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from core.backbones.weights import Weights
from core.errors import VerificationError
from core.threads import num_threads

# A word piece is rarely longer than this; what lies beyond max_length tokens need not be tokenised at all, so
# that a text of 100 kB costs no more than one of max_length tokens.
CHARACTERS_PER_TOKEN = 20


class TextBackbone(nn.Module):
    """A pretrained transformer encoder with its tokenizer.

    max_length: tokens, special ones included; longer texts are cut. Dropout is off until `.train()` is called.
    """

    def __init__(self, encoder: nn.Module, tokenizer: object, *, max_length: int = 128) -> None:
        super().__init__()
        self.encoder = encoder
        self.tokenizer = tokenizer
        self.max_length = min(max_length, getattr(encoder.config, "max_position_embeddings", max_length))
        self.eval()

    @classmethod
    def load(cls, weights: Weights, *, max_length: int = 128) -> TextBackbone:
        """The encoder of a verified folder; safetensors only, and no code from the folder is run.

        Raises:
            VerificationError: the folder is no text encoder that transformers can build by itself.
        """
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # reading one file takes less time than drawing its bar
        try:
            encoder = AutoModel.from_pretrained(
                weights.folder,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                dtype=torch.float32,
            )
            tokenizer = AutoTokenizer.from_pretrained(weights.folder, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise VerificationError(
                f"Backbone '{weights.name}' cannot be loaded from {weights.folder}: {error}"
            ) from None
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None  # mean pooling leaves it idle; it would be a parameter that never moves
        return cls(encoder, tokenizer, max_length=max_length)

    @property
    def feature_dim(self) -> int:
        """Features a text."""
        return self.encoder.config.hidden_size

    def stages(self) -> list[nn.Module]:
        """Modules from the input side on, each parameter in exactly one: embeddings, then every layer.

        Raises:
            VerificationError: the encoder is not built as embeddings and a list of layers.
        """
        layers = _largest_layer_list(self.encoder)
        if layers is None:
            raise VerificationError(f"{type(self.encoder).__name__} has no list of layers to divide into stages.")
        before, after = _modules_around(self.encoder, layers)
        *inner, last = layers
        return [nn.ModuleList(before), *inner, nn.ModuleList([last, *after])]

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text with its special tokens, cut to max_length."""
        limit = self.max_length * CHARACTERS_PER_TOKEN
        cut = [text[:limit] for text in texts]
        if not cut:
            return []
        return self.tokenizer(cut, truncation=True, max_length=self.max_length)["input_ids"]

    def pad(self, token_ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Token ids and attention mask, both (N, L), L the longest of them."""
        longest = max(len(ids) for ids in token_ids)
        filler = self.tokenizer.pad_token_id or 0
        padded = torch.full((len(token_ids), longest), filler, dtype=torch.long)
        mask = torch.zeros((len(token_ids), longest), dtype=torch.long)
        for row, ids in enumerate(token_ids):
            padded[row, : len(ids)] = torch.as_tensor(ids, dtype=torch.long)
            mask[row, : len(ids)] = 1
        return padded, mask

    def hidden(self, token_ids: Tensor, mask: Tensor) -> Tensor:
        """(N, L, D) states of the last layer."""
        return self.encoder(input_ids=token_ids, attention_mask=mask).last_hidden_state

    def forward(self, token_ids: Tensor, mask: Tensor) -> Tensor:
        """(N, D) features of (N, L) token ids and mask; gradients flow."""
        return mean_pool(self.hidden(token_ids, mask), mask)

    @torch.no_grad()
    def features(self, texts: Sequence[str], *, batch_size: int = 64) -> np.ndarray:
        """(N, D) float32 features in the order of the texts; batches are of like length, so little is padding."""
        torch.set_num_threads(num_threads())
        was_training = self.training
        self.eval()
        token_ids = self.tokenize(texts)
        order = np.argsort([-len(ids) for ids in token_ids], kind="stable")
        result = np.zeros((len(texts), self.feature_dim), dtype=np.float32)
        device = next(self.parameters()).device
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            ids, mask = self.pad([token_ids[row] for row in rows])
            result[rows] = self(ids.to(device), mask.to(device)).float().cpu().numpy()
        self.train(was_training)
        return result


def mean_pool(hidden: Tensor, mask: Tensor) -> Tensor:
    """(N, D) mean of (N, L, D) states over the tokens whose mask is 1.

    Source: Reimers & Gurevych 2019, "Sentence-BERT", section 3 (MEAN strategy).
    """
    kept = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1.0)


def _largest_layer_list(encoder: nn.Module) -> nn.ModuleList | None:
    """The encoder's list of layers: the ModuleList with the most parameters."""
    lists = [module for module in encoder.modules() if isinstance(module, nn.ModuleList) and len(module)]
    return max(lists, key=lambda found: sum(p.numel() for p in found.parameters()), default=None)


def _modules_around(encoder: nn.Module, layers: nn.ModuleList) -> tuple[list[nn.Module], list[nn.Module]]:
    """The largest modules that share no parameter with the layers: those before and those after them."""
    inside = {id(parameter) for parameter in layers.parameters()}
    before: list[nn.Module] = []
    after: list[nn.Module] = []

    def visit(module: nn.Module, found: list[nn.Module]) -> list[nn.Module]:
        if module is layers:
            return after
        own = [id(parameter) for parameter in module.parameters()]
        if own and not inside.intersection(own):
            found.append(module)
        else:
            for child in module.children():
                found = visit(child, found)
        return found

    visit(encoder, before)
    return before, after
