"""How does an agent go on when the caller says "go on"? It says the rest as it was, with no LLM.

In a pipeline this is `Bargein()`, which means `Bargein(resume="verbatim")`, and
`manners.topic("the returns policy")` when the agent comes to that.
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
 2600  user
 3000  asr~    what about
 3300  asr     what about shoes
 3400  user.
 4000  turn    what about shoes
 5000  agent   Shoes as well.
 7000  turn    go on
"""


async def main() -> None:
    played = await play(parse(SCENE))
    for message in played.context:
        print(f"{message['role']}: {message['content']}")


asyncio.run(main())
