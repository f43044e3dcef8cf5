"""What an operator sees of a node: one JSON line an event on standard error, and metrics to scrape.

Neither holds personal data or keys. A log line names departments, heights, codes and digests; requests are logged by
the pattern of their path, because what stands in a path or a body is nobody's business.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ledger.blocks.refusals import ACCEPTED
from ledger.registers import code_of
from nodes.pipeline import Gauge
from nodes.pipeline import Gauges as StageGauges

SYNC_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""From a disk with a protected cache to one that a node cannot work with."""

_NOT_EXTRA = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
"""`color_message` is the web server's: its message again, unfilled and with the escapes of a terminal."""


class JsonLines(logging.Formatter):
    """Makes a log record one line of JSON: time, level, logger, message, then what was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _NOT_EXTRA}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging(level: str = "WARNING") -> None:
    """Send all log records of this process from `level` on to standard error, one JSON line each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """What is measured at the moment of asking."""

    height: int
    checkpoint_height: int
    round: int
    pool_envelopes: int
    peers_connected: int
    peers_expected: int
    journal_bytes: int
    index_height: int
    index_failed: bool
    frames_dropped: Mapping[str, int] = field(default_factory=dict)
    """By short code of the peer: frames that were not delivered since the start."""
    messages_refused: int = 0
    leads: bool = False
    """Whether the current round is this node's to propose in."""
    disk_free_bytes: int = 0
    signing_paused: bool = False
    """Whether it signs nothing until its disk has room again."""
    sync_times_s: Iterable[float] = ()
    """Durations of the syncs since the last time of asking."""


class NodeMetrics(Collector):
    """The metrics of one node, with a registry of their own: several nodes may live in one process."""

    def __init__(self, gauges: Callable[[], Gauges]) -> None:
        """Measure with `gauges` whenever somebody scrapes."""
        self._gauges = gauges
        self._now: Gauges | None = None
        self.stages = StageGauges.zero()
        """Of the pipeline that prepares blocks: those of the replay at start, if there was one."""
        self.registry = CollectorRegistry(auto_describe=False)
        self._records = Counter(
            "mulu_records_executed",
            "Records executed and indexed since the start, by kind and result",
            ["kind", "code"],
            registry=self.registry,
        )
        self._requests = Counter(
            "mulu_requests",
            "Requests answered by the gateway, by method, path pattern and status",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._sync = Histogram(
            "mulu_journal_sync_seconds",
            "Time that one sync of the journal took",
            buckets=SYNC_BUCKETS_S,
            registry=self.registry,
        )
        self.registry.register(self)

    def count_records(self, counts: Mapping[tuple[str, int], int]) -> None:
        """Add the records of one block, by kind (empty if unknown) and number of the code. From any thread."""
        for (kind, code), count in counts.items():
            label = "accepted" if code == ACCEPTED else code_of(code).label
            self._records.labels(kind or "unknown", label).inc(count)

    def count_request(self, method: str, route: str, status: int) -> None:
        """Add one request that was answered."""
        self._requests.labels(method, route, str(status)).inc()

    def text(self) -> bytes:
        """Measure, and return all metrics in the text form of Prometheus."""
        self._now = self._gauges()
        for took in self._now.sync_times_s:
            self._sync.observe(took)
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """Yield what `text` measured; called by the registry."""
        now = self._now
        if now is None:
            return
        yield GaugeMetricFamily("mulu_height", "Height of the last executed block", now.height)
        yield GaugeMetricFamily(
            "mulu_checkpoint_height", "Height that the newest checkpoint with a quorum covers", now.checkpoint_height
        )
        yield GaugeMetricFamily("mulu_round", "Round of the last committed block", now.round)
        yield GaugeMetricFamily("mulu_leads", "1 if the current round is this node's to propose in", int(now.leads))
        yield GaugeMetricFamily("mulu_pool_envelopes", "Envelopes that wait for a block", now.pool_envelopes)
        yield GaugeMetricFamily("mulu_peers_connected", "Validators this node is connected with", now.peers_connected)
        yield GaugeMetricFamily("mulu_peers_expected", "Validators there are besides this one", now.peers_expected)
        yield GaugeMetricFamily("mulu_journal_bytes", "Bytes in the journal", now.journal_bytes)
        yield GaugeMetricFamily("mulu_disk_free_bytes", "Bytes free on the journal's file system", now.disk_free_bytes)
        yield GaugeMetricFamily(
            "mulu_signing_paused", "1 while the node signs nothing because that is nearly full", int(now.signing_paused)
        )
        yield GaugeMetricFamily("mulu_index_height", "Height up to which the query index answers", now.index_height)
        yield GaugeMetricFamily(
            "mulu_index_failed", "1 if the query index stopped until the next start", int(now.index_failed)
        )
        yield CounterMetricFamily(
            "mulu_messages_refused", "Messages of peers that broke the protocol", now.messages_refused
        )
        yield from self._collect_stages()
        dropped = CounterMetricFamily(
            "mulu_frames_dropped", "Frames for a peer that were displaced or not queued", labels=["peer"]
        )
        for peer, count in now.frames_dropped.items():
            dropped.add_metric([peer], count)
        yield dropped

    def _collect_stages(self) -> Iterator[Metric]:
        busy_s = CounterMetricFamily(
            "mulu_replay_busy_seconds", "Time that a stage of the replay at start has worked", labels=["stage"]
        )
        blocks = CounterMetricFamily(
            "mulu_replay_blocks", "Blocks that a stage of the replay at start has done", labels=["stage"]
        )
        queued = GaugeMetricFamily(
            "mulu_replay_queued", "Blocks in a stage of the replay at start, or waiting for it", labels=["stage"]
        )
        for stage in fields(self.stages):
            gauge: Gauge = getattr(self.stages, stage.name)
            busy_s.add_metric([stage.name], gauge.busy_s)
            blocks.add_metric([stage.name], gauge.blocks)
            queued.add_metric([stage.name], gauge.queued)
        yield from (busy_s, blocks, queued)
