"""Does every example run as it is, and show what it says it shows?"""

import asyncio
import re
import sys
import tempfile
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
    "next_call": "assistant: I was telling you about the returns policy. Shall I go on?",
    "test_pipecat_plain": r'the agent stopped \d+ ms after "mm-hm" began; \d+ words went unheard:',
    "test_pipecat_bargein": "1 passed",
    "test_livekit_plain": r'the agent stopped \d+ ms after "mm-hm" began; \d+ words went unheard:',
    "test_livekit_bargein": "1 passed",
    "test_interruption_recovery": "2 passed",
}
FAILING = {"test_pipecat_plain", "test_livekit_plain"}
"""What they show is a test that fails."""


def test_every_example_is_tested() -> None:
    assert {path.stem for path in ROOT.glob("examples/*.py")} == set(TELLING)


@pytest.mark.parametrize("name", TELLING)
def test_an_example_is_read_at_a_glance(name: str) -> None:
    assert len((ROOT / "examples" / f"{name}.py").read_text("utf-8").splitlines()) < (
        85 if name in LONG else 40
    )


@pytest.mark.real_time
async def test_every_example_shows_what_it_says() -> None:
    ran = dict(zip(TELLING, await asyncio.gather(*map(_run, TELLING)), strict=True))
    assert {name: code_and_errors for name, (*code_and_errors, _) in ran.items()} == {
        name: [int(name in FAILING), ""] for name in TELLING
    }
    missing = {
        name: out
        for name, (*_, out) in ran.items()
        if not (TELLING[name] in out or re.search(TELLING[name], out))
    }
    assert not missing


AT_ONCE = asyncio.Semaphore(3)
"""Each is a process of its own, and some are calls in real time."""


async def _run(name: str) -> tuple[int | None, str, str]:
    path = str(ROOT / "examples" / f"{name}.py")
    pytest_too = ["-m", "pytest", "-q", "-p", "bargein.testing.plugin", "-W", "ignore"]
    with tempfile.TemporaryDirectory() as kept:
        calls = [f"--bargein-calls={kept}", "-p", "no:cacheprovider"]
        options = [*pytest_too, *calls] if name.startswith("test_") else []
        async with AT_ONCE:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *options,
                path,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=ROOT,
                env={"PYTHONPATH": str(ROOT / "plugins"), "PATH": ""},
            )
            async with asyncio.timeout(150):
                out, errors = await process.communicate()
    return process.returncode, errors.decode(), out.decode()
