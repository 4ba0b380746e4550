"""What does somebody begin from who makes a trace, a scene, a record that is nearly right?"""

import json
from datetime import UTC, datetime
from typing import Any

REPLIES = [
    b"Sure. <must-hear>Your code is 4 2 7 1.</must-hear> Anything else?",
    b"<must-hear a>b",
]
SCENES = [
    b"# A title.\n@tolerance 90\n0 agent Hi there.  # aside\n5 user\n5 => DuckPlayout: x\n",
    b"@not livekit: why\n0 reply Hi <must-hear>you</must-hear>\n9 asr@es hola\n9 score 0.9 e\n",
]
TRACE = [
    b'{"v": 1, "type": "UserWordsHeard", "at_ms": 7, "text": "uh", "is_final": true}',
    b'{"v": 1, "type": "YieldFloor", "at_ms": 7, "reason": "floor taken", "kind": "hold"}',
    b'{"v": 1, "type": "PlayoutProgressed", "at_ms": 7, "heard_chars": 4}',
    b'{"v": 1, "type": "OverlapScored", "at_ms": 7, "source": "ear", "backchannel_probability": 1}',
    b'{"v": 1, "type": "MessageLocked", "at_ms": 7, "message_id": "m", "text": "4 2", "on_cut": '
    b'"repeat", "broken_by": ["emergency"]}',
    b'{"v": 1, "type": "Journal", "what": "began", "call": "c"}',
]
LANGUAGES = [
    b'[words]\nbackchannels = ["mhm", "ja"]\n[hold]\ncontinuer = ["<backchannels>+"]\n'
    b'[shift]\nstop = ["stop|halt", "wait a?"]\n[agent]\ntag = ["right"]\nunheard_words = 3\n'
    b'[writing]\nfold = {"x" = "y"}\nspaced = true\n[timing]\nsettle_ms = 800\n'
    b'[speech]\nresume = "Back to {topic}."\n[examples]\nhold = ["Mhm."]\n',
    b'# ours\n[words]\nbackchannels = ["mhm", "ja"]\n',
]
SETTINGS = [
    b'language = ["en", "es"]\nmin_speak_ms = 900\n[preset]\nbase = "eager"\n',
    b'must_hear_patterns = ["money", "[0-9]+"]\non_cut = "repeat"\nbroken_by = ["dtmf:#"]\n'
    b'resume_ttl_s = 3.5\nspeech = {resume = "x"}\n',
]
TRANSCRIBED = "conversation.item.input_audio_transcription"
EVENTS = [
    json.dumps(one).encode()
    for one in (
        {"type": "response.output_audio.delta", "item_id": "i", "delta": "AAAA"},
        {"type": "response.created", "response": {"id": "r", "metadata": {"bargein": "m"}}},
        {"type": "response.done", "response": {"id": "r", "status": "done", "output": [{}]}},
        {"type": "response.output_item.done", "item": {"type": "function_call", "call_id": "c"}},
        {"type": "input_audio_buffer.speech_started", "audio_start_ms": 3, "item_id": "i"},
        {"type": f"{TRANSCRIBED}.completed", "item_id": "i", "transcript": "no wait"},
        {"type": "error", "error": {"code": "x", "message": "y"}},
    )
]
NOW = datetime.now(UTC).isoformat()
MESSAGE: dict[str, Any] = {
    "v": 1,
    "message_id": "m",
    "text": "Your code is nine.",
    "on_cut": "repeat",
    "broken_by": ["emergency"],
    "attempts": 1,
    "heard": "",
}
RECEIPT: dict[str, Any] = {
    "v": 1,
    "message_id": "m",
    "state": "cut",
    "heard": "Your",
    "played_ms": 9,
    "total_ms": None,
    "began_at": NOW,
    "ended_at": NOW,
    "attempts": 1,
    "reason": "call ended",
    "pending": True,
}
UNFINISHED: dict[str, Any] = {
    "v": 1,
    "message_id": "m",
    "text": "Items can be returned within thirty days, with a receipt.",
    "heard": "Items can be",
    "kind": "redirect",
    "cut_at": NOW,
    "caller_words": "what about shoes",
    "topic": "returns",
    "task": "",
    "progress": 0.2,
    "context_note": "",
    "tools": [["search", "three found"]],
    "offered": False,
}
RECORDS = [json.dumps(one).encode() for one in (MESSAGE, RECEIPT, UNFINISHED)]
