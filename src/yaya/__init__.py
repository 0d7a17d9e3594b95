"""yaya (牙牙): raise your own ChatGPT, from raw text to a chat page, on the machine you have."""

import os
from importlib import metadata

# Before torch loads libgomp: threads that wait for each other sleep soon instead of burning a core. On an idle machine
# it costs nothing; where another program wants a core, a training step stays 6 times faster (bench/LOG.md).
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

try:
    __version__ = metadata.version("yaya")
except metadata.PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0.0.0"
