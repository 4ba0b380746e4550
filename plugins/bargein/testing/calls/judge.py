"""Did the agent do what people would want? A language model reads the call and gives a score.

Any endpoint that speaks as OpenAI's chat completions do. What words alone can tell needs no model:
`Call.recovered`.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .call import Call

RECOVERED = (
    "After the interruption the agent answers what the caller interrupted it with.",
    "The agent does not go on with the interrupted answer unless the caller asks for it.",
    "The agent does not say again what the caller has already heard.",
)
"""What it takes to come out of an interruption well."""

_ASKED = """\
You judge how a voice agent behaved on the telephone. Below is what was really heard in the call: \
words that were cut off are not in it, and "over the agent" means that the caller talked over the \
agent's voice. Judge each criterion by this text alone. Answer with one JSON object and nothing \
else: {"criteria": [{"met": true or false, "reason": "one sentence"}, ...], "score": 0.0 to 1.0}, \
the criteria in the order given."""


class JudgeError(RuntimeError):
    """The judge gave no judgement: that says nothing about the agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """What a judge was asked, and found."""

    text: str
    met: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a judge found."""

    criteria: tuple[Criterion, ...]
    score: float
    """From 0 to 1."""
    least: float

    @property
    def passed(self) -> bool:
        """Whether every criterion is met, and the score is high enough."""
        return self.score >= self.least and all(one.met for one in self.criteria)

    def __str__(self) -> str:
        marks = {True: "met    ", False: "NOT MET"}
        lines = [f"{marks[one.met]} {one.text} ({one.reason})" for one in self.criteria]
        return "\n".join([f"score {self.score:.2f}, at least {self.least:.2f}", *lines])


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """A model that judges: ``await Judge(model="...", base_url="...").judge(call)``."""

    model: str
    base_url: str = "https://api.openai.com/v1"
    api_key: str = ""
    within_s: float = 60.0
    """How long the endpoint may be silent, by the machine's clock."""

    async def judge(
        self, call: Call, criteria: Sequence[str] = RECOVERED, *, least: float = 0.7
    ) -> Judgement:
        """Have a call judged; the transcript of it is sent to the endpoint.

        Args:
            call: what was heard in it.
            criteria: a sentence each.
            least: the lowest score that passes.

        Raises:
            JudgeError: no answer, or one that is no judgement.
        """
        if not criteria:
            raise ValueError("criteria must hold a sentence, not none")
        told = "\n".join(f"{number}. {one}" for number, one in enumerate(criteria, start=1))
        content = f"The call:\n{call.timeline()}\n\nThe criteria:\n{told}"
        messages = [
            {"role": "system", "content": _ASKED},
            {"role": "user", "content": content},
        ]
        return _judgement(await self._asked(messages), criteria, least)

    async def _asked(self, messages: list[dict[str, str]]) -> str:
        body = {"model": self.model, "messages": messages, "temperature": 0}
        headers = {"Content-Type": "application/json"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        url = f"{self.base_url.rstrip('/')}/chat/completions"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        try:
            # In a thread, which virtual time waits for: the model is in another process.
            return str(await asyncio.to_thread(self._answer, request))
        except urllib.error.HTTPError as error:
            raise JudgeError(f"{self.model} at {url} answers with status {error.code}") from error
        except (OSError, http.client.HTTPException, LookupError, TypeError, ValueError) as error:
            what = f"{type(error).__name__}: {error}".rstrip(": ")
            raise JudgeError(f"{self.model} at {url} gives no answer: {what}") from error

    def _answer(self, request: urllib.request.Request) -> Any:
        with urllib.request.urlopen(request, timeout=self.within_s) as answer:
            return json.load(answer)["choices"][0]["message"]["content"]


def _judgement(answer: str, criteria: Sequence[str], least: float) -> Judgement:
    found = re.search(r"\{.*\}", answer, re.DOTALL)  # some put it into a block of Markdown
    try:
        read = json.loads(found[0] if found else answer)
        given = [
            Criterion(text=text, met=one["met"] is True, reason=str(one.get("reason", "")))
            for text, one in zip(criteria, read["criteria"], strict=True)
        ]
        score = float(read["score"])
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise JudgeError(f"this is no judgement: {answer[:200]!r}") from error
    if not 0 <= score <= 1:
        raise JudgeError(f"a score is from 0 to 1, not {score}")
    return Judgement(criteria=tuple(given), score=score, least=least)
