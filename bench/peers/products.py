"""What this machine's matrix products can do: those of one training step, in bf16 and fp32, nothing in between.

python bench/peers/products.py [passes]
"""

import statistics
import sys
import time

import torch
from shape import PRODUCTS, STEP_FLOPS, TOKENS


def seconds(dtype: torch.dtype, passes: int) -> float:
    """The median time of all products of a step. Each writes into memory that is there: no allocator is measured."""
    work = []
    for inputs, outputs, count in PRODUCTS:
        x, weight, grad = (
            torch.randn(s, dtype=dtype) for s in ((TOKENS, inputs), (outputs, inputs), (TOKENS, outputs))
        )
        y, grad_x, grad_weight = map(torch.empty_like, (grad, x, weight))
        work += [(x, weight.T, y), (grad, weight, grad_x), (grad.T, x, grad_weight)] * count
    times = []
    for _ in range(passes + 1):
        started = time.perf_counter()
        for a, b, out in work:
            torch.mm(a, b, out=out)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def main() -> None:
    passes = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    for name in ("bfloat16", "float32"):
        print(f"{name} {STEP_FLOPS / seconds(getattr(torch, name), passes) / 1e9:.1f} GFLOP/s", flush=True)


if __name__ == "__main__":
    main()
