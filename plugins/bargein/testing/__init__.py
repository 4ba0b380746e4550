"""For testing agents and their manners: scenes, and players that need no cloud; scripted calls."""

from .core_player import matches, play, written
from .scene import Line, Scene, SceneError, load, parse
from .steps import (
    ScriptError,
    Steps,
    agent,
    announce,
    at_random,
    backchannel,
    cough,
    dtmf,
    hang_up,
    interrupt,
    moment,
    noise,
    script,
    silence,
    user,
)

__all__ = [
    "Line", "Scene", "SceneError", "ScriptError", "Steps", "agent", "announce", "at_random",
    "backchannel", "cough", "dtmf", "hang_up", "interrupt", "load", "matches", "moment", "noise",
    "parse", "play", "script", "silence", "user", "written",
]  # fmt: skip
