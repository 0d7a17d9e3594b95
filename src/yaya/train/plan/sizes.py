"""The size of a model from scratch: the one that sees about eight tokens for each of its parameters in the time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from yaya.core.messages import UserError
from yaya.train.plan.planner import MEASURED_SECONDS, MEASURED_TOKENS, Trainee, measure, settle_batch

Size = tuple[int, int]  # hidden_size, num_hidden_layers
# Each takes about twice the compute of the one before.
SIZES = ((64, 3), (96, 3), (128, 4), (160, 4), (192, 5), (256, 6), (320, 7), (384, 8), (512, 10), (640, 12), (768, 12))
USUAL: Size = (160, 4)  # if no time is given
TOKENS_PER_PARAMETER = 8.0  # of the layers: our choice for models of about a million, not the outcome of a search


def layer_weights(hidden_size: int, layers: int) -> float:
    """Parameters of the layers."""
    return 12.0 * layers * hidden_size**2


def choose_size(trainee: Trainee, config: Any, with_size: Callable[[Size], Any], seconds: float) -> tuple[Size, float]:
    """(size, seconds per token) for `seconds` of training, from two measured sizes. with_size: the config of a size."""
    sizes = sizes_for(config.head_dim, config.num_key_value_heads or 1)
    seen = []
    for size in (sizes[min(1, len(sizes) - 2)], sizes[min(4, len(sizes) - 1)]):  # widths 96 and 192, if they suit
        probed = settle_batch(trainee, with_size(size), MEASURED_TOKENS)
        seen.append((layer_weights(*size), measure(trainee, probed, MEASURED_SECONDS / 2)))
    return size_for(seen, seconds, sizes)


def sizes_for(head_dim: int, kv_heads: int) -> list[Size]:
    """The sizes that fit the heads in the recipe; UserError if none does."""
    sizes = [size for size in SIZES if max(1, size[0] // head_dim) % kv_heads == 0]
    if len(sizes) < 2:
        raise UserError(
            f"num_key_value_heads={kv_heads} with head_dim={head_dim} fits none of the widths that yaya chooses from. Set hidden_size={kv_heads * head_dim} or a multiple of it.",
            f"num_key_value_heads={kv_heads}、head_dim={head_dim} 和自动选择的宽度都不配。请设 hidden_size={kv_heads * head_dim} 或它的倍数。",
        )
    return sizes


def size_for(seen: list[tuple[float, float]], seconds: float, sizes: list[Size]) -> tuple[Size, float]:
    """(size, seconds per token): the size that sees about `TOKENS_PER_PARAMETER` tokens per parameter in the time.

    seen: (parameters, seconds per token) of two sizes; in between and beyond, time grows in proportion (arXiv:2203.15556 for the rule).
    """
    (small, fast), (large, slow) = seen
    slope = max(slow - fast, 0.2 * slow) / (large - small)

    def token_seconds(size: Size) -> float:
        return max(fast + slope * (layer_weights(*size) - small), 0.5 * fast)

    def off(size: Size) -> float:
        return abs(math.log(seconds / token_seconds(size) / layer_weights(*size) / TOKENS_PER_PARAMETER))

    best = min(sizes, key=off)
    return best, token_seconds(best)
