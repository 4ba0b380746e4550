"""How may the LLM itself go on with what was left unsaid?"""

from __future__ import annotations

from collections.abc import Callable

from pipecat.frames.frames import FunctionCallResultProperties
from pipecat.services.llm_service import FunctionCallParams, LLMService

try:
    from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
except ImportError:  # pipecat-ai < 1.14
    from pipecat.adapters.schemas.function_schema import FunctionSchema

__all__ = ["FORGET", "RESUME", "FunctionSchema", "register"]

RESUME, FORGET = "resume_speech", "forget_speech"

_SCHEMAS = (
    FunctionSchema(
        name=RESUME,
        description=(
            "Go on with what you were saying when the user interrupted you, word for word from"
            " where they stopped hearing it. Call it instead of repeating yourself, when the user"
            " wants to hear the rest."
        ),
        properties={},
        required=[],
    ),
    FunctionSchema(
        name=FORGET,
        description=(
            "Forget what you were saying when the user interrupted you. Call it when they do not"
            " want to hear the rest."
        ),
        properties={},
        required=[],
    ),
)


def register(
    llm: LLMService, resume: Callable[[], bool], forget: Callable[[], None]
) -> list[FunctionSchema]:
    """Register both tools with an LLM service; returns what goes into its `ToolsSchema`."""

    async def resumed(params: FunctionCallParams) -> None:
        there = resume()
        # What is said now is said already: the LLM answers only where there was nothing to say.
        after = FunctionCallResultProperties(run_llm=not there)
        await params.result_callback({"resumed": there}, properties=after)

    async def forgotten(params: FunctionCallParams) -> None:
        forget()
        await params.result_callback({"forgotten": True})

    llm.register_function(RESUME, resumed)
    llm.register_function(FORGET, forgotten)
    return list(_SCHEMAS)
