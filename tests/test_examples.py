"""Does every example run as it is, and show what it says it shows?"""

import asyncio
import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONG = {"deepgram_elevenlabs"}
"""Without a framework the application has a loop of its own."""
TELLING = {
    "deepgram_elevenlabs": "correction, heard: Your appointment is on Tuesday at nine, with",
    "resume_verbatim": "assistant: Sure, back to the returns policy. as long as you have the",
    "resume_offer": "assistant: I was telling you about the returns policy. Shall I go on?",
    "resume_llm": 'They have not heard this part: "as long as you have the receipt."',
    "metrics": 'bargein_interruptions_total{bargein_host="pipecat",bargein_kind="correction"',
    "next_call": "assistant: I was telling you about the returns policy. Shall I go on?",
}
RUNS = [
    name
    for name in TELLING
    if name != "metrics" or importlib.util.find_spec("opentelemetry.exporter.prometheus")
]
"""Without the extra `prometheus` there is nothing to run."""


IN_VIRTUAL_TIME = """
import asyncio, runpy, sys
from bargein.testing import virtual_time
asyncio.run = virtual_time.run
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_every_example_is_tested() -> None:
    assert {path.stem for path in ROOT.glob("examples/*.py")} == set(TELLING)


@pytest.mark.parametrize("name", TELLING)
def test_an_example_is_read_at_a_glance(name: str) -> None:
    assert len((ROOT / "examples" / f"{name}.py").read_text("utf-8").splitlines()) < (
        85 if name in LONG else 40
    )


@pytest.mark.real_time
async def test_every_example_shows_what_it_says() -> None:
    ran = dict(zip(RUNS, await asyncio.gather(*map(_run, RUNS)), strict=True))
    assert {name: code_and_errors for name, (*code_and_errors, _) in ran.items()} == {
        name: [0, ""] for name in RUNS
    }
    missing = {name: out for name, (*_, out) in ran.items() if TELLING[name] not in out}
    assert not missing


async def _run(name: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        IN_VIRTUAL_TIME,
        str(ROOT / "examples" / f"{name}.py"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT / "plugins"), "PATH": ""},
    )
    async with asyncio.timeout(60):
        out, errors = await process.communicate()
    return process.returncode, errors.decode(), out.decode()
