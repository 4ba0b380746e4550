"""The machine of a call dies with a code in its hand: does the caller ever hear it?"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bargein.memory import Records, open_store
from bargein.testing import virtual_time
from either_host import CODE, HOSTS, EitherHost

NUMBER = "+49 30 901820"


async def one_call(name: str, address: str, dies_after: str) -> None:
    """In a process of its own; tells what the agent said and what receipts there are."""
    store = open_store(address)

    async def script(call: EitherHost) -> None:
        if not dies_after:
            await call.heard("Hello again.")
            await call.until(lambda: call.receipts)
            return
        await call.says(CODE, must_hear=True)
        await call.until(lambda: call.words_heard >= float(dies_after))
        await asyncio.sleep(0.1)  # what a store on the same machine takes, and more
        print("dies", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    call = HOSTS[name](store=store, caller=NUMBER)
    await call.run(script)
    assert await Records(store, NUMBER).undelivered() == []
    told = [[one.state.value, one.heard, one.attempts] for one in call.receipts]
    await store.close()
    print(json.dumps([call.said("assistant"), told, call.complaints]))


async def called(name: str, address: str, dies_after: str = "") -> subprocess.CompletedProcess[str]:
    here = Path(__file__).parent
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, __file__, name, address, dies_after],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": f"{here}:{here.parent / 'plugins'}"},
    )


@pytest.mark.parametrize("dies_after", ["0", "3"], ids=["before it", "in it"])
@pytest.mark.parametrize("name", sorted(HOSTS))
async def test_a_code_whose_process_was_killed_is_said_in_the_next_call(
    name: str, address: str, dies_after: str
) -> None:
    pytest.importorskip({"pipecat": "pipecat", "livekit": "livekit.agents"}[name])
    died = await called(name, address, dies_after)
    assert (died.returncode, died.stdout) == (-signal.SIGKILL, "dies\n"), died.stderr
    later = await called(name, address)
    assert later.returncode == 0, later.stderr
    said, receipts, complaints = json.loads(later.stdout)
    assert said == ["Hello again.", CODE]
    assert receipts == [["delivered", CODE, 2]]
    assert complaints == []


if __name__ == "__main__":
    # Redis is a process of its own, on the machine's clock.
    run = asyncio.run if sys.argv[2].startswith("redis") else virtual_time.run
    run(one_call(*sys.argv[1:]))
