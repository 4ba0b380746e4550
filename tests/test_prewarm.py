"""A worker reads its languages before there are calls, so that no call waits for another's."""

import subprocess
import sys
from pathlib import Path

import pytest

from bargein.language import LanguageError
from bargein.livekit import Bargein as OnLiveKit
from bargein.manners import Manners
from bargein.pipecat import Bargein as OnPipecat

READS = """
import sys
read = []
sys.addaudithook(
    lambda name, args: name == "open" and str(args[0]).endswith(".toml") and read.append(args[0])
)
from bargein import standard_rules
from bargein.{host} import Bargein
options = {options}
Bargein.prewarm(**options)
assert read, "the languages are files"
read.clear()
Bargein(**options)
judge = standard_rules(**options)[0].judge
for tag in {spoken}:
    judge("ja", language=tag)
print(len(read))
"""


def printed(code: str) -> str:
    """What a new process says last."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(Path(__file__).parents[1] / "plugins"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return (done.stdout.strip().splitlines() or [done.stderr])[-1]


@pytest.mark.parametrize(
    ("host", "options", "spoken"),
    [
        ("livekit", {"language": "de"}, []),
        ("pipecat", {"language": ["en", "de"], "ignore": ["alles klar"]}, ["de"]),
        ("livekit", {"language": "auto"}, ["de", "ja"]),
    ],
)
def test_a_call_reads_nothing_that_was_read_before(
    host: str, options: dict[str, object], spoken: list[str]
) -> None:
    assert printed(READS.format(host=host, options=options, spoken=spoken)) == "0"


HEARS = """
import asyncio, sys
read = []
sys.addaudithook(
    lambda name, args: name == "open" and str(args[0]).endswith(".onnx") and read.append(args[0])
)
from bargein.pipecat import Bargein
ear = Bargein().vad()
assert read, "the model is a file"
read.clear()
ear.set_sample_rate(16000)
asyncio.run(ear.analyze_audio(bytes(4096)))
print(len(read))
"""


def test_no_call_waits_for_the_model_that_hears_its_caller() -> None:
    assert printed(HEARS) == "0"


@pytest.mark.parametrize("host", [OnLiveKit, OnPipecat])
def test_a_language_that_there_is_not_is_named_when_the_worker_starts(
    host: type[Manners[object]],  # type: ignore[type-var]
) -> None:
    with pytest.raises(LanguageError, match="no language 'klingon'"):
        host.prewarm(language="klingon")
