"""How long may a test look for trouble? Longer at night: ``BARGEIN_NIGHTLY=1``."""

import os
from collections.abc import Callable
from itertools import count
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

NIGHTLY = os.environ.get("BARGEIN_NIGHTLY") == "1"


def many(by_day: int, at_night: int) -> int:
    """How many of them to try."""
    return at_night if NIGHTLY else by_day


def explore(machine: type[RuleBasedStateMachine], enough: Callable[[], Any], steps: int) -> None:
    """Run a machine, each time with other luck, until it has seen enough."""
    for luck in count():
        if enough():
            return
        run_state_machine_as_test(
            seed(luck)(machine),
            settings=settings(
                max_examples=100,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                phases=(Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
            ),
        )
