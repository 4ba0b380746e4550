"""How the tests run: the same on a slow machine as on a fast one."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "bargein",
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("bargein")

try:
    from loguru import logger

    logger.remove()  # a test that wants the host's log adds a sink of its own
except ImportError:
    pass
