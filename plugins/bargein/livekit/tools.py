"""How may the LLM itself go on with what was left unsaid?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from livekit.agents import StopResponse, function_tool
from livekit.agents.llm import FunctionTool

from bargein.notes import FORGET, FORGETS, RESUME, RESUMES


def tools(resume: Callable[[], bool], forget: Callable[[], None]) -> list[FunctionTool[Any, Any]]:
    """Both tools, for ``Agent(tools=[*manners.tools(), ...])``."""

    async def resumed() -> dict[str, bool]:
        if resume():
            raise StopResponse  # what is said now is said already
        return {"resumed": False}

    async def forgotten() -> dict[str, bool]:
        forget()
        return {"forgotten": True}

    return [
        function_tool(resumed, name=RESUME, description=RESUMES),
        function_tool(forgotten, name=FORGET, description=FORGETS),
    ]
