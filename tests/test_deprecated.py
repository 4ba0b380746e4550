"""A deprecated use fails the run, however the host tells of it."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
USES = {
    "pipecat": "from pipecat.utils.deprecation import warn_deprecated\nwarn_deprecated('It goes.')",
    "livekit": "from livekit.agents import AgentSession\nAgentSession(allow_interruptions=False)",
    "python": "import warnings\nwarnings.warn('It goes.', FutureWarning)",
}
RUN = """
import sys
sys.path.insert(0, {here!r})
import deprecated
from pathlib import Path
if {used_here}:
    deprecated.OURS = (Path(__file__).parent.resolve(),)

def pytest_configure(config):
    config.pluginmanager.register(deprecated.DeprecatedUses())
"""


@pytest.mark.parametrize("host", USES)
@pytest.mark.parametrize("used_here", [True, False])
def test_what_a_host_takes_away_fails_the_run(tmp_path: Path, host: str, used_here: bool) -> None:
    (tmp_path / "conftest.py").write_text(RUN.format(here=str(HERE), used_here=used_here))
    use = USES[host].replace("\n", "\n    ")
    (tmp_path / "test_it.py").write_text(f"async def test_it():\n    {use}\n")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto", "test_it.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(HERE.parent / "plugins"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in run.stdout, run.stdout
    assert run.returncode == (1 if used_here else 0)
    assert ("used here, and deprecated" in run.stdout) is used_here
    assert ("test_it.py:3: " in run.stdout.partition("used here")[2]) is used_here
