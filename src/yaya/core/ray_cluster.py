"""The Ray cluster at RAY_ADDRESS, or one started here."""

from __future__ import annotations

import os
from typing import Any

from yaya.core.extras import need


def connect_ray() -> Any:
    """Ray's module, connected; UserError with what to install if it is missing."""
    ray = need("ray", "yaya[ray]", "engine=ray needs Ray", "engine=ray 需要 Ray")
    if not ray.is_initialized():
        ray.init(address=os.environ.get("RAY_ADDRESS"), log_to_driver=False, include_dashboard=False)
    return ray
