"""Packages that not everyone needs, imported on demand."""

from __future__ import annotations

import importlib
from typing import Any

from yaya.core.messages import UserError


def need(module: str, install: str, en: str, zh: str, instead: tuple[str, str] = ("", "")) -> Any:
    """The module; UserError with what to install if it is missing.

    install: pip's argument, such as `yaya[tune]`. en, zh: who needs what ("yaya tune needs Optuna"). instead: an alternative.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        wanted = f'"{install}"' if "[" in install else install  # a shell would read the brackets
        raise UserError(f"{en}: pip install {wanted}{instead[0]}", f"{zh}：pip install {wanted}{instead[1]}") from None
