"""What may the LLM call: its functions while it is talked over, and ours to go on or to forget?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from pipecat.frames.frames import FunctionCallResultProperties
from pipecat.services.llm_service import FunctionCallParams, LLMService

from bargein.functions import OnInterruption, ToolError, on_interruption_of
from bargein.notes import FORGET, FORGETS, RESUME, RESUMES

try:
    from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
except ImportError:  # pipecat-ai < 1.14
    from pipecat.adapters.schemas.function_schema import FunctionSchema

__all__ = [
    "FORGET",
    "RESUME",
    "FunctionSchema",
    "OnInterruption",
    "ToolError",
    "register",
    "register_function",
]

FunctionCallHandler: TypeAlias = Callable[[FunctionCallParams], Awaitable[None]]


_SCHEMAS = (
    FunctionSchema(
        name=RESUME,
        description=RESUMES,
        properties={},
        required=[],
    ),
    FunctionSchema(
        name=FORGET,
        description=FORGETS,
        properties={},
        required=[],
    ),
)


def register_function(
    llm: LLMService,
    name: str,
    handler: FunctionCallHandler,
    on_interruption: OnInterruption | str,
    **options: Any,
) -> None:
    """Register a function with an LLM service, as the host does, by what becomes of its calls.

    Raises:
        ToolError: no such thing becomes of them, or the host's own word for it is used as well.
    """
    if "cancel_on_interruption" in options:
        raise ToolError(
            "give on_interruption='complete' or 'cancel' instead of cancel_on_interruption"
        )
    chosen = on_interruption_of(on_interruption)
    llm.register_function(
        name, handler, cancel_on_interruption=chosen is OnInterruption.CANCEL, **options
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
