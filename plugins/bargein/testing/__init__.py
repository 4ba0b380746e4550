"""For testing agents and their manners: scenes, and players that need no cloud."""

from .core_player import matches, play, written
from .scene import Line, Scene, SceneError, load, parse

__all__ = ["Line", "Scene", "SceneError", "load", "matches", "parse", "play", "written"]
