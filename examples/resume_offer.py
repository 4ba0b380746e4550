"""How does an agent come back to its subject by itself? After the digression it offers to, once.

In a pipeline this is `Bargein(resume="offer")`, and `manners.topic("the returns policy")` when the
agent comes to that: then the offer names it.
"""

import asyncio
import os

os.environ["LOGURU_AUTOINIT"] = "no"  # without the host's log

from bargein.testing import parse
from bargein.testing.pipecat_player import play

SCENE = """
@resume offer
    0  topic   the returns policy
    1  agent   Items can be returned within thirty days, as long as you have the receipt.
 1600  user
 2000  asr~    what about
 2300  asr     what about shoes
 2400  user.
 3000  turn    what about shoes
 4000  agent   Shoes as well.
 9000  turn    yes please
"""


async def main() -> None:
    played = await play(parse(SCENE))
    for message in played.context:
        print(f"{message['role']}: {message['content']}")


asyncio.run(main())
