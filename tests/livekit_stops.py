"""How soon is the agent silent for a caller over WebRTC, beside LiveKit without us?

``python tests/livekit_stops.py`` measures it through a LiveKit server on this machine, in the audio
that the caller receives. No test: it depends on the machine.
"""

import asyncio
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from bargein.cli.bench.script import turned
from bargein.testing.utterance import Utterance, utterance
from livekit_caller import calling
from livekit_server import MISSING, LiveKitServer, find, served, working

ANSWER = (
    "Items can be returned, as long as you have the receipt and the label is still on them, and we"
    " pay for the parcel if you bring it to our shop."
)
SAID = ("No wait, I meant Thursday.", "Sorry, can you say that again?", "Hold on, I need to check.")
WAYS: dict[str, dict[str, Any] | None] = {
    "ours": None,
    "default": {},
    "min_words=2": {"min_words": 2},
}
ROUNDS = 2


async def silent_after_s(server: LiveKitServer, way: str, said: Utterance) -> float:
    """One call: from the caller's first sound to the agent's last, in seconds."""
    async with calling(server, stock=WAYS[way]) as caller:
        await caller.asks("say", text=ANSWER)
        await caller.hears(4)
        await caller.says(said)
        await asyncio.sleep(1.0)
        return caller.silent_after_s()


async def measure(server: LiveKitServer) -> None:
    """Print each way's median, and all of them."""
    took: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(ROUNDS * len(SAID)):
        said = utterance("it", SAID[turn % len(SAID)])
        for way in turned(list(WAYS), turn):
            took[way].append(await silent_after_s(server, way, said))
    for way, each in took.items():
        ratio = median(took["ours"]) / median(each)
        print(f"{way:>12}  {median(each) * 1000:5.0f} ms  ours: {ratio:.2f} x", sorted(each))


def main() -> None:
    """Start a server and a worker, and measure."""
    binary = find()
    if binary is None:
        raise SystemExit(MISSING)
    with (
        tempfile.TemporaryDirectory() as folder,
        served(binary, Path(folder)) as server,
        working(server, Path(folder)),
    ):
        asyncio.run(measure(server))


if __name__ == "__main__":
    main()
