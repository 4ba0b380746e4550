"""A LiveKit server of our own on the loopback, for as long as the tests run."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RELEASE = "v1.11.0"  # later ones replace modules, and `go install` refuses those
MISSING = (
    "no LiveKit server here: go install"
    f" github.com/livekit/livekit-server/cmd/server@{RELEASE}, or set LIVEKIT_SERVER to one"
)
_WORKER = Path(__file__).with_name("livekit_worker.py")


@dataclass(frozen=True, slots=True)
class LiveKitServer:
    """Where it listens, and with what one may enter."""

    url: str
    key: str = "bargein"
    secret: str = "nothing-but-the-loopback-ever-sees-this-one"

    @property
    def environment(self) -> dict[str, str]:
        """What a worker looks at."""
        return {
            "LIVEKIT_URL": self.url,
            "LIVEKIT_API_KEY": self.key,
            "LIVEKIT_API_SECRET": self.secret,
        }


def find() -> str | None:
    """The server's binary: where we are told, where `go install` puts it, or on the path."""
    if named := os.environ.get("LIVEKIT_SERVER"):
        return shutil.which(named)
    folders: list[str] = []
    if go := shutil.which("go"):
        command = [go, "env", "GOBIN", "GOPATH"]
        told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        bin_folder, _, paths = told.partition("\n")
        folders += [bin_folder, *(f"{path}/bin" for path in paths.strip().split(os.pathsep))]
    for folder in filter(None, folders):
        for name in ("livekit-server", "server"):
            found = shutil.which(name, path=folder)
            if found and _is_livekit(found):
                return found
    return shutil.which("livekit-server")


def _is_livekit(binary: str) -> bool:
    try:
        told = subprocess.run([binary, "--version"], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b"livekit" in told.stdout


@contextmanager
def served(binary: str, folder: Path) -> Iterator[LiveKitServer]:
    """Run the server; its log is ``livekit-server.log`` in the folder."""
    port, tcp_port, udp_port = _free(socket.SOCK_STREAM, 2) + _free(socket.SOCK_DGRAM, 1)
    server = LiveKitServer(f"ws://127.0.0.1:{port}")
    config = f"""
port: {port}
bind_addresses: [127.0.0.1]
keys: {{{server.key}: {server.secret}}}
rtc:
  tcp_port: {tcp_port}
  udp_port: {udp_port}
  node_ip: 127.0.0.1
  use_external_ip: false
  enable_loopback_candidate: true
room: {{departure_timeout: 1}}
logging: {{level: info}}
"""
    command = [binary, "--config-body", config, "--node-ip", "127.0.0.1"]
    with _running(command, folder / "livekit-server.log", _clean()) as process:
        _wait(process, folder / "livekit-server.log", lambda: _answers(port))
        yield server


@contextmanager
def working(server: LiveKitServer, folder: Path) -> Iterator[Path]:
    """Run a worker with bargein in a process of its own; yields its log."""
    log = folder / "worker.log"
    with _running(
        [sys.executable, str(_WORKER)], log, {**_clean(), **server.environment}
    ) as worker:
        _wait(worker, log, lambda: "ready for calls" in log.read_text())
        yield log


@contextmanager
def _running(
    command: list[str], log: Path, environment: dict[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.kill()  # asked politely, it would wait for calls that are over
        process.wait(10)


def _wait(process: "subprocess.Popen[bytes]", log: Path, ready: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not ready():
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"it did not start: {log.read_text()[-2000:]}")
        time.sleep(0.05)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free(kind: int, count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.socket(socket.AF_INET, kind) for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _clean() -> dict[str, str]:
    """Our environment without proxies, and without the settings of another LiveKit."""
    plugins = str(Path(__file__).parents[1] / "plugins")
    path = os.pathsep.join(filter(None, [plugins, os.environ.get("PYTHONPATH")]))
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("LIVEKIT_") and not name.lower().endswith("_proxy")
    }
    return {**kept, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
