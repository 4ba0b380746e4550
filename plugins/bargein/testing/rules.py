"""Which rules does a scene ask for?"""

from __future__ import annotations

from bargein.core.overlap import Rules
from bargein.language.standard import standard_rules

from .scene import Scene


def rules_of(scene: Scene) -> Rules:
    """The standard rules with the scene's own numbers; ``@rules none`` is an empty tuple."""
    options = scene.options
    if options.get("rules") == "none":
        return ()
    languages = tuple(options.get("language", "en").split())
    return standard_rules(
        languages[0] if len(languages) == 1 else languages,
        preset=options.get("preset", "balanced"),
        min_speak_ms=int(options.get("min_speak", "0")),
    )
