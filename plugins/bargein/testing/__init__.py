"""For testing agents and their manners: scenes, and players that need no cloud; scripted calls."""

from .core_player import matches, play, written
from .scene import Line, Scene, SceneError, load, parse
from .steps import (
    ScriptError,
    agent,
    at_random,
    backchannel,
    cough,
    dtmf,
    hang_up,
    interrupt,
    noise,
    script,
    silence,
    user,
)

__all__ = [
    "Line", "Scene", "SceneError", "ScriptError", "agent", "at_random", "backchannel", "cough",
    "dtmf", "hang_up", "interrupt", "load", "matches", "noise", "parse", "play", "script",
    "silence", "user", "written",
]  # fmt: skip
