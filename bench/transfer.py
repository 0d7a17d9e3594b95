"""Do learning rates found on a narrow model suit a wide one? Trains widths at several multiples of the default rates.

python bench/transfer.py OUT_FOLDER SOURCE... [widths=[64,128,256]] [times=[0.25,0.5,1,2,4]] [KEY=value of pretrain ...]

Prints bits per byte for each width and multiple. The rule that it tests: rates stay as they are, because Muon's updates have the
same spectral norm at every width and embeddings are looked up, not multiplied with (arXiv:2203.03466).
"""

import sys
from pathlib import Path

from speedrun import train

from yaya.core.recipe import parse_assignment
from yaya.train.pretrain import PretrainConfig


def main() -> None:
    out, words = Path(sys.argv[1]), sys.argv[2:]
    keys = dict(parse_assignment(word) for word in words if "=" in word)
    sources = [str(Path(word).resolve()) for word in words if "=" not in word]
    widths, times = keys.pop("widths", [64, 128, 256]), keys.pop("times", [0.25, 0.5, 1, 2, 4])
    run = {name: keys.pop(name) for name in ("threads", "dtype") if name in keys}
    recipe = {"name": out.name, "prepare": {"sources": sources}, "tokenize": {"vocab_size": 2048}, **run}
    usual = PretrainConfig()
    print("width | " + " | ".join(f"{by:g} times" for by in times))
    for width in widths:
        found = []
        for by in times:
            rates = {name: by * getattr(usual, name) for name in ("learning_rate", "matrix_learning_rate")}
            shape = {"hidden_size": width, "num_hidden_layers": 3, "batch_tokens": 2048, "steps": 400}
            found.append(train(recipe, 0, {**shape, **keys, **rates}, None, out.parent)[0])
        print(f"{width:5} | " + " | ".join(f"{bits:.3f}" for bits in found), flush=True)


if __name__ == "__main__":
    main()
