"""In virtual time what a thread computes takes no time, and one that waits holds nobody up."""

import asyncio
import threading
import time


async def test_what_a_thread_computes_takes_no_time_while_others_wait() -> None:
    working = asyncio.create_task(asyncio.to_thread(threading.Event().wait, 0.05))
    began_s = time.monotonic()
    while not working.done():
        await asyncio.sleep(0.001)
    assert time.monotonic() - began_s < 0.003


async def test_a_thread_may_wait_for_the_loop() -> None:
    go_on = threading.Event()
    waiting = asyncio.create_task(asyncio.to_thread(go_on.wait, 20))
    await asyncio.sleep(0.1)
    go_on.set()
    assert await waiting
