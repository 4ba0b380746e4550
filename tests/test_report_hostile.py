"""Does a page that shows a hostile call run anything, or ask anybody for anything?"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numpy")
pytest.importorskip("aiohttp")

from chromium import BINARY, MISSING, Page, chromium
from test_report import OURS, write
from test_report_page import press, shown, sounding

pytestmark = [pytest.mark.real_time, pytest.mark.skipif(BINARY is None, reason=MISSING)]

AT = "http://report.test"
RUN = "window.ran = 1"
MARKUP = {
    "a script": f"</script><script>{RUN}</script><script src={AT}/a.js></script>",
    "a script within a comment": f"<!--<script>--></script><script>{RUN}</script>",
    "a picture": f"<img src={AT}/b.png onerror='{RUN}'><input autofocus onfocus='{RUN}'>",
    "a drawing": f"<svg onload='{RUN}'><script>{RUN}</script><image href='{AT}/c.svg'/></svg>",
    "a link": f"<a href='javascript:{RUN}'>x</a>",
    "a form": f"<form action='{AT}'><button formaction='javascript:{RUN}'>y</button></form>",
    "an address": f"javascript:{RUN}//{AT}",
    "a page": f"<iframe srcdoc='<script>parent.{RUN}</script>' src='{AT}/d'></iframe>",
    "a way out": f"<meta http-equiv=refresh content='0;url={AT}/e'><base href='{AT}/'>",
    "a look": f"</style><style>@import '{AT}/f.css'; * {{ background: url({AT}/g.png) }}</style>",
    "a place of ours": "{{audio}}{{data}}{{policy}}{{script}}",
    "entities": "&lt;b&gt;&#0;\u2028\u2029\u0000\u001b[31m\ud83d",
}
FIELDS = ("text", "heard", "unheard", "reason", "kind", "state", "caller_words", "message_id")


def everywhere(markup: str) -> list[dict[str, Any]]:
    """Our call, with that in every text of it, as far as one is shown."""
    entries = [dict(entry) for entry in OURS]
    for entry in entries:
        for name in FIELDS:
            if name in entry or entry["type"] in ("HoldFloor", "ReportBackchannel"):
                entry[name] = markup
        entry["about"] = {"call": markup, "overlap": markup, "why": markup}
    entries[6:6] = [
        {"type": "YieldFloor", "at_ms": 1450, "about": {"call": markup}}
        | dict.fromkeys(FIELDS, markup),
        {"type": markup, "at_ms": 1450},
        {"type": "Journal", "what": markup, "call": markup, "at_ms": 0},
    ]
    return entries


async def opened(page: Page, tmp_path: Path, markup: str) -> list[Any]:
    """What is on the page that its own script did not put there."""
    path = sounding(write(tmp_path / "call.jsonl", everywhere(markup)))
    await page.ask(
        "Page.addScriptToEvaluateOnNewDocument",
        source="window.held = []; document.addEventListener('securitypolicyviolation',"
        " one => held.push(one.violatedDirective))",
    )
    await shown(page, tmp_path, path)
    await page.js("document.querySelector('.call').focus()")
    for key in ("Home", "ArrowRight", "ArrowRight", "ArrowRight"):
        await press(page, key)
    await page.js("[...document.querySelectorAll('button')].forEach(one => one.click())")
    await asyncio.sleep(0.1)
    alien = "img,svg,a,iframe,form,input,base,object,embed,link:not([href='data:,'])"
    found: list[Any] = await page.js(
        f"[window.ran, held, document.querySelectorAll({alien!r}).length,"
        " document.querySelectorAll('script').length, document.querySelectorAll('style').length,"
        " document.querySelectorAll('meta').length, location.protocol,"
        " performance.getEntriesByType('resource').map(one => one.name.split(':')[0])"
        ".filter(one => !['blob', 'data'].includes(one))]"
    )
    return found


async def test_nothing_in_a_trace_runs_or_leaves(tmp_path: Path) -> None:
    requests: list[str] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append((await reader.readline()).decode(errors="replace"))
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    proxy = await asyncio.start_server(take, "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    found = {}
    async with proxy, chromium(f"--proxy-server=http://127.0.0.1:{port}") as page:
        await page.looks(width=1280, height=1000)
        (tmp_path / "plain").mkdir()
        plain = await opened(page, tmp_path / "plain", "hello")
        for name, markup in MARKUP.items():
            folder = tmp_path / name
            folder.mkdir()
            found[name] = await opened(page, folder, markup)
        complaints = page.complaints
        await page.ask("Page.navigate", url=f"{AT}/z")
    assert plain[:3] == [None, [], 0]
    assert found == dict.fromkeys(MARKUP, plain)
    assert complaints == []
    # The proxy would have told of them.
    assert [one for one in requests if AT in one] == [f"GET {AT}/z HTTP/1.1\r\n"]


async def test_it_is_shown_as_it_was_said(tmp_path: Path) -> None:
    async with chromium() as page:
        await page.looks(width=1280, height=1000)
        await opened(page, tmp_path, MARKUP["a script"])
        text = await page.js("document.body.innerText")
    assert MARKUP["a script"] in text
