"""What an operator sees: one line of JSON an event, metrics that are measured when they are asked for."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from nodes.observe import JsonLines, configure_logging
from tests.gateway.memory_node import MemoryNode


def test_a_log_record_is_one_line_of_json() -> None:
    """Line ends in a message or a traceback stay inside the line; extras are members of their own."""
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.makeLogRecord(
            {"msg": "stopped\nat %d", "args": (7,), "levelname": "ERROR", "name": "nodes.x", "exc_info": sys.exc_info()}
        )
    record.height = 7
    line = JsonLines().format(record)
    assert "\n" not in line
    told = json.loads(line)
    assert (told["message"], told["level"], told["logger"], told["height"]) == ("stopped\nat 7", "error", "nodes.x", 7)
    assert "two\nlines" in told["error"]


def test_a_log_line_holds_no_escapes_of_a_terminal() -> None:
    """The web server gives its messages a second time, coloured: no line of a log repeats that."""
    record = logging.makeLogRecord({"msg": "Started server process [%d]", "args": (7,), "levelname": "INFO"})
    record.color_message = "Started server process [\x1b[36m%d\x1b[0m]"
    told = json.loads(JsonLines().format(record))
    assert told["message"] == "Started server process [7]"
    assert told.keys() == {"time", "level", "logger", "message"}


def test_logging_goes_to_standard_error_from_its_level_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """One handler, however often it is configured."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", stream)
    try:
        configure_logging("INFO")
        configure_logging("WARNING")
        logging.getLogger("nodes.test").info("not this")
        logging.getLogger("nodes.test").warning("this")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["this"]


def test_metrics_tell_how_the_node_is(node: MemoryNode) -> None:
    """Heights, pool, peers, journal, syncs, records by kind and code: all in the text form that is scraped."""
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(node.metrics.text().decode())
        for sample in family.samples
    }
    assert samples["mulu_height",] == samples["mulu_checkpoint_height",] == samples["mulu_index_height",] == 4
    assert samples["mulu_peers_connected",] == 3
    assert samples["mulu_journal_bytes",] == 12_345
    assert samples["mulu_journal_sync_seconds_count",] == 1
    assert samples["mulu_frames_dropped_total", ("peer", "AY")] == 2
    refused = ("mulu_records_executed_total", ("code", "type_defined_before"), ("kind", "certificates.define_type"))
    assert samples[refused] == 1
