"""What becomes of the LLM's function calls while somebody talks over the agent?"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from livekit.agents import AgentSession, function_tool, llm
from livekit.agents.llm import FunctionTool, RawFunctionTool
from livekit.agents.voice.speech_handle import SpeechHandle

from bargein.core.decisions import Decision, YieldFloor
from bargein.core.events import ToolFinished, ToolStarted
from bargein.core.leftovers import NOTHING_LEFT
from bargein.functions import OnInterruption, ToolError, on_interruption_of

from . import compat
from .call import LiveKitCall
from .speeches import Speech

_QUIET_S, _LOOK_S = 0.8, 0.1
"""So long nobody speaks before a late result is spoken of; an answer begins sooner."""
_CANCELLED = "The call was cancelled, because the user interrupted."


@dataclass(slots=True, eq=False)
class _Out:
    """A function call that has not answered."""

    tool: llm.FunctionToolCall
    handle: SpeechHandle
    ours: bool = False
    """Does its function tell us itself when it is done?"""


class Functions:
    """Tells the floor of function calls, cancels those that are to be, and minds late results."""

    def __init__(self, call: LiveKitCall) -> None:
        """Mind the functions of a call. `Bargein` does it for you."""
        self._call = call
        self._out: dict[str, _Out] = {}
        self._cancellable: set[asyncio.Task[Any]] = set()
        self._cancelled: set[asyncio.Task[Any]] = set()
        self._late: set[SpeechHandle] = set()
        self._unwanted = False
        self.session: AgentSession[Any] | None = None
        call.decided.append(self._obey)
        call.speeches.ended.append(self._speech_over)

    def tool(
        self, function: Callable[..., Any], on_interruption: OnInterruption | str, **options: Any
    ) -> FunctionTool[Any, Any] | RawFunctionTool[Any, Any]:
        """A function of the application's as a tool.

        Raises:
            ToolError: nothing of that kind can become of its calls, or it is a tool already.
        """
        chosen = on_interruption_of(on_interruption)
        if isinstance(function, FunctionTool | RawFunctionTool):
            raise ToolError(
                f"{function.info.name} is a tool already: give manners.function_tool(...) the"
                " function itself, instead of @function_tool"
            )
        name = options.get("name") or (options.get("raw_schema") or {}).get("name")
        name = name or function.__name__

        @functools.wraps(function)
        async def called(*args: Any, **kwargs: Any) -> Any:
            act = functools.partial(function, *args, **kwargs)
            if chosen is OnInterruption.CANCEL:
                return await self._cancelled_if_interrupted(act)
            return await self._completed(name, act)

        tool: FunctionTool[Any, Any] | RawFunctionTool[Any, Any] = function_tool(called, **options)
        return tool

    # --- what the LLM and the session tell ---

    def begun(self, tool: llm.FunctionToolCall, handle: SpeechHandle) -> None:
        """The LLM calls a function."""
        call = self._call
        self._out[tool.call_id] = _Out(tool, handle)
        call.feed(ToolStarted(at_ms=call.now_ms, name=tool.name, call_id=tool.call_id))

    def finished(self, call_id: str, result: str = "") -> None:
        """It has answered, or nobody waits for it any more."""
        call, out = self._call, self._out.get(call_id)
        if out is not None and not (out.ours and not result):
            del self._out[call_id]
            call.feed(
                ToolFinished(at_ms=call.now_ms, name=out.tool.name, call_id=call_id, result=result)
            )

    def turn_taken(self) -> None:
        """The caller's turn is in the history: whatever is to be cancelled by one is."""
        for task in self._cancellable - self._cancelled:
            self._cancelled.add(task)
            task.cancel()

    def run_begun(self, handle: SpeechHandle | None) -> None:
        """The LLM is shown the history: what came late is not late any more."""
        shown = {one for one in self._late if one.done()}
        if handle is None or handle.scheduled:
            self._late -= shown
            return

        def over(handle: SpeechHandle) -> None:
            if handle.scheduled:  # else it was a guess that nobody heard
                self._late.difference_update(shown)

        handle.add_done_callback(over)

    # --- while a function runs ---

    async def _completed(self, name: str, act: Callable[[], Any]) -> Any:
        handle = compat.speech()
        call_id, out = self._claimed(name, handle)
        if out is not None:
            out.ours = True
        result: Any = ""
        try:
            result = await _made(act())
        finally:
            if out is not None:
                out.ours = False
                self.finished(call_id, str(result))
                if not self._call.closed:
                    self._call.spawn(self._late_result(out, result))
        return result

    async def _cancelled_if_interrupted(self, act: Callable[[], Any]) -> Any:
        task = asyncio.current_task()
        assert task is not None
        self._cancellable.add(task)
        try:
            return await _made(act())
        except asyncio.CancelledError:
            if task not in self._cancelled:
                raise
            task.uncancel()
            raise llm.ToolError(_CANCELLED) from None
        finally:
            self._cancellable.discard(task)
            self._cancelled.discard(task)

    def _claimed(self, name: str, handle: SpeechHandle | None) -> tuple[str, _Out | None]:
        for call_id, out in self._out.items():
            if out.tool.name == name and out.handle is handle and not out.ours:
                return call_id, out
        return "", None

    async def _late_result(self, out: _Out, result: object) -> None:
        """Let it be known, and spoken of once nobody speaks, unless it was in the meantime."""
        call, handle, session = self._call, out.handle, self.session
        late = handle.interrupted
        if late:
            self._late.add(handle)
        with contextlib.suppress(asyncio.CancelledError):
            await handle
        if session is None or call.closed or not handle.interrupted:
            return
        await self._written(out, result, session)
        if not late:  # its own answer was on its way, and the caller was quicker
            return
        quiet_s = 0.0
        while handle in self._late and not call.closed and not self._unwanted:
            if quiet_s >= _QUIET_S:
                self._late.discard(handle)
                with contextlib.suppress(RuntimeError):  # the session comes to its end
                    session.generate_reply()
                return
            await asyncio.sleep(_LOOK_S)
            quiet_s = 0.0 if self._spoken(session) else quiet_s + _LOOK_S
        self._late.discard(handle)

    async def _written(self, out: _Out, result: object, session: AgentSession[Any]) -> None:
        """Releases before 1.7 drop the result of a call whose speech was interrupted."""
        agent, call_id = session.current_agent, out.tool.call_id
        known = (*agent.chat_ctx.items, *session.history.items)
        if any(getattr(item, "call_id", "").startswith(call_id) for item in known):
            return
        name, arguments = out.tool.name, out.tool.arguments
        items: list[llm.ChatItem] = [
            llm.FunctionCall(call_id=call_id, name=name, arguments=arguments),
            llm.FunctionCallOutput(call_id=call_id, name=name, output=str(result), is_error=False),
        ]
        chat_ctx = agent.chat_ctx.copy()
        chat_ctx.items.extend(items)
        session.history.items.extend(items)
        await agent.update_chat_ctx(chat_ctx)

    def _spoken(self, session: AgentSession[Any]) -> bool:
        call = self._call
        return (
            call.busy
            or call.user_speaks
            or call.waits_a_moment
            or session.current_speech is not None
            or call.drops_turns()
        )

    def _obey(self, decision: Decision) -> None:
        if isinstance(decision, YieldFloor):
            self._unwanted = decision.breaks_lock or decision.kind in NOTHING_LEFT
            self.turn_taken()

    def _speech_over(self, speech: Speech) -> None:
        for call_id in [one for one, out in self._out.items() if out.handle is speech.handle]:
            self.finished(call_id)


async def _made(result: Awaitable[Any] | Any) -> Any:
    return await result if inspect.isawaitable(result) else result
