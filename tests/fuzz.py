"""Which bytes from outside make us crash? None: ``python tests/fuzz.py [seconds for each reader]``.

With ``pip install atheris`` it is led by the code that is reached, else by chance alone.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from pathlib import Path
from random import Random

try:
    import atheris
except ImportError:
    atheris = None

with atheris.instrument_imports(include=["bargein"]) if atheris else nullcontext():
    from bargein import Marked
    from bargein.core import trace
    from bargein.language.lexicon import LanguageError, load_language
    from bargein.realtime import wire
    from bargein.settings import SettingsError, settings
    from bargein.testing.scene import SceneError, parse

_FILE = Path(tempfile.gettempdir()) / "bargein-fuzz.toml"


def tags(data: bytes) -> None:
    """The parser of a reply: no word is lost, and cutting it elsewhere changes nothing."""
    text = data.decode("utf-8", "replace")
    pieces = [piece for one in (Marked(),) for piece in [*one.feed(text), *one.end()]]
    byte_by_byte = Marked()
    cut = [piece for one in text for piece in byte_by_byte.feed(one)] + byte_by_byte.end()
    whole = ["".join(p.text for p in found if p.must_hear) for found in (pieces, cut)]
    assert whole[0] == whole[1], (text, whole)


def scene(data: bytes) -> None:
    """The parser of a scene."""
    with suppress(SceneError):
        parse(data.decode("utf-8", "replace"))


def traced(data: bytes) -> None:
    """The reader of a trace; what it reads is written as it was."""
    try:
        entry = trace.read(data.decode("utf-8", "replace"))
    except trace.TraceError:
        return
    assert trace.read(trace.write(entry)) == entry


def language(data: bytes) -> None:
    """The loader of a language's file."""
    _FILE.write_bytes(data)
    with suppress(LanguageError):
        load_language("en", _FILE)


def call_settings(data: bytes) -> None:
    """The loader of a call's settings."""
    _FILE.write_bytes(data)
    with suppress(SettingsError):
        settings(_FILE)


def realtime(data: bytes) -> None:
    """The reader of OpenAI Realtime."""
    with suppress(wire.MalformedEventError):
        wire.read(wire.decoded(data))


SEEDS: dict[Callable[[bytes], None], list[bytes]] = {
    tags: [b"Sure. <must-hear>Your code is 4 2 7 1.</must-hear> Anything else?", b"<must-hear a>b"],
    scene: [
        b"# A title.\n@tolerance 90\n0 agent Hi there.  # aside\n5 user\n5 => DuckPlayout: x\n"
    ],
    traced: [
        b'{"type": "UserWordsHeard", "at_ms": 7, "text": "uh", "is_final": true}',
        b'{"type": "YieldFloor", "at_ms": 7, "reason": "barge in", "kind": "hold"}',
    ],
    language: [b'[words]\nbackchannels = ["mhm", "ja"]\n[examples]\nhold = ["Mhm."]\n'],
    call_settings: [b'language = ["en", "es"]\nmin_speak_ms = 900\n[preset]\nbase = "eager"\n'],
    realtime: [
        json.dumps(one).encode()
        for one in (
            {"type": "response.output_audio.delta", "item_id": "i", "delta": "AAAA"},
            {"type": "response.done", "response": {"id": "r", "status": "done", "output": [{}]}},
            {"type": "input_audio_buffer.speech_started", "audio_start_ms": 3, "item_id": "i"},
            {"type": "error", "error": {"code": "x", "message": "y"}},
        )
    ],
}
ODD = [b"\x00", b"\xff", "\u202e".encode(), "а".encode(), b"{", b"[" * 400, b"9" * 400, b'"', b"\n"]
ODD += [
    b"1e999",
    b"NaN",
    b"-1",
    b"null",
    b"</must-hear>",
    b"<must-hear>",
    b"true",
    b"\\ud800",
    b"=",
]


def mutated(dice: Random, seeds: Iterable[bytes]) -> bytes:
    """Something like one of them."""
    data = bytearray(dice.choice(list(seeds)))
    for _ in range(dice.randint(1, 6)):
        at = dice.randint(0, len(data))
        match dice.randint(0, 3):
            case 0:
                data[at:at] = dice.choice(ODD)
            case 1:
                del data[at : at + dice.randint(1, 12)]
            case 2:
                data[at : at + 1] = bytes([dice.randint(0, 255)])
            case _:
                cut = dice.randint(0, len(data))
                data[at:at] = data[cut : cut + 20]
    return bytes(data)


def by_chance(reader: Callable[[bytes], None], dice: Random, until: Callable[[], bool]) -> int:
    """Feed a reader; how many inputs it took."""
    tries = 0
    while not until():
        data = mutated(dice, SEEDS[reader])
        tries += 1
        try:
            reader(data)
        except Exception as error:
            raise AssertionError(f"{reader.__name__} fell over {data!r}") from error
    return tries


def main(seconds: float) -> None:
    """Fuzz every reader."""
    if atheris is None:
        for reader in SEEDS:
            ends_s = time.monotonic() + seconds
            tries = by_chance(reader, Random(), lambda ends_s=ends_s: time.monotonic() > ends_s)
            print(f"{reader.__name__}: {tries} inputs, no crash (by chance)")
        return
    import multiprocessing

    def fuzz(reader: Callable[[bytes], None]) -> None:
        with tempfile.TemporaryDirectory() as corpus:
            for place, seed in enumerate(SEEDS[reader]):
                (Path(corpus) / str(place)).write_bytes(seed)
            atheris.Setup(
                [sys.argv[0], f"-max_total_time={seconds:g}", "-verbosity=0", corpus], reader
            )
            atheris.Fuzz()

    for reader in SEEDS:
        child = multiprocessing.get_context("fork").Process(target=fuzz, args=(reader,))
        child.start()
        child.join()
        print(f"{reader.__name__}: {'no crash' if child.exitcode == 0 else 'CRASHED'} (atheris)")
        if child.exitcode:
            sys.exit(1)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10)
