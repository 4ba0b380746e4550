"""Which bytes from outside make us crash? None: ``python tests/fuzz.py [seconds] [reader ...]``.

With ``pip install atheris`` it is led by the code that is reached, else by chance alone.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

try:
    import atheris
except ImportError:
    atheris = None

with atheris.instrument_imports(include=["bargein"]) if atheris else nullcontext():
    from bargein import Marked
    from bargein.cli.report.lines import Problems
    from bargein.cli.report.lines import read as read_lines
    from bargein.core import trace
    from bargein.language.lexicon import LanguageError, load_language
    from bargein.memory import MemoryStore, Records
    from bargein.realtime import wire
    from bargein.settings import SettingsError, settings
    from bargein.testing.scene import SceneError, parse, unparse

import fuzz_seeds  # behind: it must not load anything before it is instrumented

_FOLDER = tempfile.TemporaryDirectory()
_FILE = Path(_FOLDER.name) / "fuzzed.toml"


def tags(data: bytes) -> bool:
    """The parser of a reply: no word is lost, and cutting it elsewhere changes nothing."""
    text = data.decode("utf-8", "replace")
    pieces = [piece for one in (Marked(),) for piece in [*one.feed(text), *one.end()]]
    byte_by_byte = Marked()
    cut = [piece for one in text for piece in byte_by_byte.feed(one)] + byte_by_byte.end()
    for must_hear in (True, False):
        whole, parts = (
            "".join(p.text for p in found if p.must_hear is must_hear) for found in (pieces, cut)
        )
        assert whole == parts, (text, whole, parts)
    return any(piece.must_hear for piece in pieces)


def scene(data: bytes) -> bool:
    """The parser of a scene; what it reads is written as it was."""
    try:
        found = parse(data.decode("utf-8", "replace"))
    except SceneError:
        return False
    again = unparse(found)
    assert unparse(parse(again)) == again
    return True


def traced(data: bytes) -> bool:
    """The reader of a trace; what it reads is written as it was."""
    line = data.decode("utf-8", "replace")
    if trace.is_note(line):
        return True
    try:
        entry = trace.read(line)
    except trace.TraceError:
        return False
    assert trace.read(trace.write(entry)) == entry
    return True


def reported(data: bytes) -> bool:
    """The report's reader of a trace, which leaves out what it cannot read."""
    problems = Problems()
    found = read_lines(data.decode("utf-8", "replace").splitlines(keepends=True), problems)
    return bool(found or problems.said())


def language(data: bytes) -> bool:
    """The loader of a language's file, alone and added to one of ours."""
    _FILE.write_bytes(data)
    try:
        load_language("en" if data.startswith(b"#") else "xx", _FILE).grammar()
    except LanguageError:
        return False
    return True


def call_settings(data: bytes) -> bool:
    """The loader of a call's settings."""
    _FILE.write_bytes(data)
    try:
        settings(_FILE)
    except SettingsError:
        return False
    return True


def realtime(data: bytes) -> bool:
    """The reader of OpenAI Realtime."""
    try:
        return wire.read(wire.decoded(data)) is not None
    except wire.MalformedEventError:
        return False


def kept(data: bytes) -> bool:
    """The reader of a store; what it reads can be stored and read again."""
    found: list[Any] = []

    async def read() -> None:
        store = MemoryStore()
        records = Records(store, "caller")
        for kind in ("receipt", "message", "unfinished"):
            await store.put(records.owner, f"{kind}:m", data, ttl_s=60)
        for _ in range(2):  # half a character is replaced when it is written
            receipts = await records.receipts()
            messages = await records.undelivered()
            rests = await records.unfinished()
            for receipt in receipts:
                await records.put_receipt(receipt)
            for message in messages:
                await records.put_undelivered(message)
            for left, cut_at in rests:
                assert left.heard + left.unheard == left.text
                await records.put_unfinished(left, cut_at, ttl_s=60)
        assert await records.receipts() == receipts
        assert await records.undelivered() == messages
        assert await records.unfinished() == rests
        found.extend([*receipts, *messages, *rests])

    with suppress(StopIteration):  # without a loop: nothing in it waits
        read().send(None)
    return bool(found)


Reader: TypeAlias = Callable[[bytes], bool]
"""Says whether it could make something of them."""
SEEDS: dict[Reader, list[bytes]] = {
    tags: fuzz_seeds.REPLIES,
    scene: fuzz_seeds.SCENES,
    traced: fuzz_seeds.TRACE,
    reported: [*fuzz_seeds.TRACE, b"\n".join(fuzz_seeds.TRACE)],
    language: fuzz_seeds.LANGUAGES,
    call_settings: fuzz_seeds.SETTINGS,
    realtime: fuzz_seeds.EVENTS,
    kept: fuzz_seeds.RECORDS,
}
ODD = [b"\x00", b"\xff", "\u202e".encode(), "а".encode(), b"{", b"[" * 400, b"9" * 400, b'"', b"\n"]
ODD += [b"[" * 5_000, b'{"a":' * 5_000, b"9" * 5_000, b"[]", b"{}", b"0", b"1", b"0001-01-01"]
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

WORDS = [odd for odd in ODD if len(odd) < 20]
"""Those that fit in a dictionary of a fuzzer's."""


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


def by_chance(reader: Reader, dice: Random, until: Callable[[], bool]) -> int:
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


def main(seconds: float, names: Iterable[str] = ()) -> None:
    """Fuzz every reader, or those that are named."""
    known = {reader.__name__: reader for reader in SEEDS}
    readers = [known[name] for name in names or known]
    if atheris is None:
        for reader in readers:
            ends_s = time.monotonic() + seconds
            tries = by_chance(reader, Random(), lambda ends_s=ends_s: time.monotonic() > ends_s)
            print(f"{reader.__name__}: {tries} inputs, no crash (by chance)")
        return
    import multiprocessing

    words = Path(_FOLDER.name) / "words"
    escaped = ("".join(f"\\x{byte:02x}" for byte in odd) for odd in WORDS)
    words.write_text("".join(f'"{one}"\n' for one in escaped))

    def fuzz(reader: Reader) -> None:
        with tempfile.TemporaryDirectory() as corpus:
            for place, seed in enumerate(SEEDS[reader]):
                (Path(corpus) / str(place)).write_bytes(seed)
            options = [f"-max_total_time={seconds:g}", "-verbosity=0", f"-dict={words}"]
            options += ["-timeout=20", "-print_final_stats=1"]
            options.append(f"-artifact_prefix={tempfile.gettempdir()}/{reader.__name__}-")
            atheris.Setup([sys.argv[0], *options, corpus], reader)
            atheris.Fuzz()

    for reader in readers:
        child = multiprocessing.get_context("fork").Process(target=fuzz, args=(reader,))
        child.start()
        child.join()
        print(f"{reader.__name__}: {'no crash' if child.exitcode == 0 else 'CRASHED'} (atheris)")
        if child.exitcode:
            sys.exit(1)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10, sys.argv[2:])
