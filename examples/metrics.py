"""How do calls look on a dashboard? Prometheus reads what OpenTelemetry counts.

``pip install "bargein[pipecat,prometheus]"``. ``python examples/metrics.py 9464`` serves
http://127.0.0.1:9464/metrics until you stop it; ``grafana/compose.yaml`` starts a Prometheus that
reads that, and a Grafana with the dashboard. Without a port it shows what Prometheus would read.
"""

import asyncio
import os
import sys
import urllib.request

os.environ["LOGURU_AUTOINIT"] = "no"  # without the host's log

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import start_http_server

from bargein.journal import Alerts
from bargein.journal.otel import Telemetry
from bargein.testing import parse
from bargein.testing.pipecat_player import play

YES_BUT = "0 agent Your appointment is on Tuesday at nine.\n900 user\n1200 asr~ yeah but"
telemetry = Telemetry(meter_provider=MeterProvider([PrometheusMetricReader()]))
WATCHERS = [telemetry, Alerts(telemetry.alert)]  # the same for every call


async def main(port: int) -> None:
    server, _ = start_http_server(port, addr="127.0.0.1")
    await play(parse(YES_BUT), watchers=WATCHERS, agent="desk@1.4")
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics") as page:
        print(page.read().decode())
    await asyncio.sleep(1e9 if port else 0)


asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else 0))
