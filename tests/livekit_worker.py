"""A worker with bargein as one deploys it, but for its models: the caller tells over RPC what to
say and what the recogniser has understood, and asks what came of it."""

import asyncio
import json
import logging
from typing import Any

from livekit import rtc
from livekit.agents import (
    Agent,
    AgentServer,
    AgentSession,
    JobContext,
    JobExecutorType,
    JobProcess,
    llm,
)
from livekit.plugins import silero  # here: a thread may not register plugins

from bargein.livekit import Bargein
from bargein.memory import MemoryStore
from bargein.testing import written
from bargein.testing.livekit_parts import ScriptedLLM, ScriptedSTT, ScriptedTTS

LEFT = "the call left"
"""Before what a line of the log tells of a call that is over."""


def prewarm(process: JobProcess) -> None:
    """What every call needs, before there is one."""
    process.userdata["vad"] = silero.VAD.load()


# Threads, not processes: a call is then ready in no time, and there is one process to end.
server = AgentServer(
    job_executor_type=JobExecutorType.THREAD,
    num_idle_processes=1,
    setup_fnc=prewarm,
    host="127.0.0.1",
    http_proxy=None,
    load_fnc=lambda: 0.0,  # or a busy machine gets no call
)


def noted(chat_ctx: llm.ChatContext) -> list[str]:
    """Repeat what the caller has said, so that they can hear what arrived."""
    messages = [one for one in chat_ctx.items if isinstance(one, llm.ChatMessage)]
    said = [one.text_content or "" for one in messages if one.role == "user"]
    return [note(said[-1])] if said else []


def note(text: str) -> str:
    """No question: an agent that asks one is answered with "go on"."""
    return f"Noted: {text.rstrip('?.')}."


@server.rtc_session(agent_name="bargein")
async def call(ctx: JobContext) -> None:
    """One call."""
    await ctx.connect()
    manners, stt, decided = Bargein(store=MemoryStore(), caller="any"), ScriptedSTT(), []
    manners.add_event_handler(
        "on_decision", lambda _, d: decided.append(written(d).partition(" ")[2])
    )
    parts: dict[str, Any] = {
        "stt": stt,
        "vad": ctx.proc.userdata["vad"],
        "llm": ScriptedLLM(noted),
        "tts": ScriptedTTS(),
        "aec_warmup_duration": None,  # LiveKit's own would be deaf for three seconds
        "turn_handling": {
            "turn_detection": "vad",
            "endpointing": {"min_delay": 0.25, "max_delay": 0.5},
        },
    }
    stock = json.loads(ctx.job.metadata)
    if stock is None:
        session = manners.session(**parts)
    else:
        parts["turn_handling"]["interruption"] = {"mode": "vad", **stock}
        session = AgentSession(**parts)

    async def say(asked: rtc.RpcInvocationData) -> str:
        wanted = json.loads(asked.payload)
        if stock is not None:
            return session.say(wanted["text"]).id
        return await manners.say(session, **wanted)

    async def hears(asked: rtc.RpcInvocationData) -> str:
        stt.hears(**json.loads(asked.payload))
        return ""

    def story() -> str:
        said = [one for one in session.history.items if isinstance(one, llm.ChatMessage)]
        told = {
            "assistant": [one.text_content for one in said if one.role == "assistant"],
            "user": [one.text_content for one in said if one.role == "user"],
            "decided": decided,
            "receipts": [[one.state.value, one.heard] for one in manners.receipts],
            "stored": [one.stored for one in manners.receipts],
        }
        return json.dumps(told)

    async def tell(_: rtc.RpcInvocationData) -> str:
        return story()

    async def over() -> None:
        if stock is None:
            await manners.aclose()
            print(LEFT, story(), flush=True)

    for method in (say, hears, tell):
        ctx.room.local_participant.register_rpc_method(method.__name__, method)
    ctx.add_shutdown_callback(over)
    session.on("close", lambda _: ctx.shutdown())
    await session.start(Agent(instructions="Be brief."), room=ctx.room)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    server.on("worker_registered", lambda *_: print("ready for calls", flush=True))
    asyncio.run(server.run(devmode=True))
