"""How does the LLM go on in its own words? A note tells it which part the caller has not heard.

In a pipeline this is `Bargein(resume="llm")`; in this scene the LLM has nothing to say, so that
the last line is the note it was run with.
"""

import asyncio
import os

os.environ["LOGURU_AUTOINIT"] = "no"  # without the host's log

from bargein.testing import parse
from bargein.testing.pipecat_player import play

SCENE = """
@resume llm
    0  topic   the returns policy
    1  agent   Items can be returned within thirty days, as long as you have the receipt.
 1600  user
 2000  asr~    what about
 2300  asr     what about shoes
 2400  user.
 3000  turn    what about shoes
 4000  agent   Shoes as well.
 6000  turn    go on
"""


async def main() -> None:
    played = await play(parse(SCENE))
    for message in played.context:
        print(f"{message['role']}: {message['content']}")


asyncio.run(main())
