"""What does an agent do about a call that dropped? In the caller's next one it offers to go on.

In a pipeline this is `Bargein(store="calls.db", caller=number)`, with the number of whoever calls,
and `manners.topic("the returns policy")` when the agent comes to that.
"""

import asyncio
import os

os.environ["LOGURU_AUTOINIT"] = "no"  # without the host's log

from bargein.testing import parse
from bargein.testing.pipecat_player import play

SCENE = """
@resume verbatim
    0  topic   the returns policy
    1  agent   Items can be returned within thirty days, as long as you have the receipt.
 1600  hangup
 5000  call
 5500  agent   Hello again.
 9500  turn    yes please
"""


async def main() -> None:
    played = await play(parse(SCENE))
    for message in played.context:
        print(f"{message['role']}: {message['content']}")


asyncio.run(main())
