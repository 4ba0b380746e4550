"""How does an agent without a framework get good manners? Events in, decisions out, one playback.

The clients are the vendors' own; their services run on this machine here, so that no key is needed.
"""

import asyncio
from time import monotonic
from typing import Any

from deepgram import AsyncDeepgramClient, DeepgramClientEnvironment
from deepgram.core.events import EventType
from elevenlabs.client import ElevenLabs

import bargein as b
from bargein.playback import AudioOut, Playback
from bargein.pump import Pump
from bargein.testing import services

SAYS = "Your appointment is on Tuesday at nine, with Doctor Hale in the main building next door."
HEARS = {"model": "nova-3", "encoding": "linear16", "sample_rate": "16000", "vad_events": "true"}
CALLER = [services.Said("uh-huh", at_ms=900), services.Said("no, I meant Thursday", at_ms=2400)]
voice = Playback[str]()


def decided(decision: b.Decision) -> None:
    match decision:
        case b.DuckPlayout():
            voice.duck()
        case b.PausePlayout():
            voice.pause(decision.stop_at)
        case b.ResumePlayout():
            voice.resume()
        case b.ReportBackchannel():
            print(f"goes on: {decision.text}")
        case b.YieldFloor():
            voice.cut(decision.stop_at)
            kind = decision.kind.value if decision.kind else ""
            print(f"{kind}, heard: {decision.heard} | unheard: {decision.unheard}")


async def main() -> None:
    pump = Pump(b.standard_rules("en"), decided=decided, report=lambda where, _: print(where))

    def told(one: Any) -> None:
        if one.type == "SpeechStarted":
            pump.feed(b.UserSpeechStarted(at_ms=pump.now_ms))
        elif one.type == "Results" and (text := one.channel.alternatives[0].transcript):
            pump.feed(b.UserWordsHeard(at_ms=pump.now_ms, text=text, is_final=one.is_final))
            if one.speech_final:
                pump.feed(b.UserSpeechStopped(at_ms=pump.now_ms))

    async with services.Deepgram(CALLER) as ear, services.ElevenLabs() as mouth:
        here = {"base": ear.url, "agent": ear.ws_url, "agent_rest": ear.url}
        at = DeepgramClientEnvironment(production=ear.ws_url, **here)
        tts = ElevenLabs(api_key="any", base_url=mouth.url).text_to_speech
        tts._ws_base_url = mouth.ws_url  # it would make wss of any address
        sound = tts.convert_realtime(
            "any", text=iter([SAYS]), model_id="any", output_format="pcm_16000"
        )
        said = await asyncio.to_thread(lambda: b"".join(sound))
        voice.put_audio(said, rate=16000, stream="it", like=SAYS)
        voice.put_mark("end", ends="it")
        async with AsyncDeepgramClient(api_key="any", environment=at).listen.v1.connect(
            **HEARS, interim_results="true"
        ) as stt:
            stt.on(EventType.MESSAGE, told)
            listening = asyncio.create_task(stt.start_listening())
            pump.feed(b.PlayoutStarted(at_ms=pump.now_ms))
            pump.feed(b.PlayoutWorded(at_ms=pump.now_ms, text=SAYS))
            while not voice.idle:
                out = voice.take(monotonic() * 1000)
                _ = [one.pcm for one in out if isinstance(one, AudioOut)]  # for the loudspeaker
                played_ms, whole_ms = voice.played_ms("it", monotonic() * 1000)
                heard = len(SAYS[: int(len(SAYS) * played_ms / (whole_ms or 1))].rpartition(" ")[0])
                if pump.floor in (b.Floor.AGENT, b.Floor.CONTESTED):
                    pump.feed(b.PlayoutProgressed(at_ms=pump.now_ms, heard_chars=heard))
                await stt.send_media(bytes(640))  # 20 ms of the microphone
                await asyncio.sleep(0.02)
            await stt.send_close_stream()
            await listening


asyncio.run(main())
