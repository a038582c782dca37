"""Arguments that several subcommands share: times and durations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import pytest
from click.testing import CliRunner

from logstore.cli.application import application
from logstore.cli.arguments import parsed_seconds, parsed_time


def test_a_duration_has_a_unit_or_is_in_seconds() -> None:
    wanted = {"500ms": 0.5, "10s": 10.0, "5min": 300.0, "2h": 7200.0, "7d": 604800.0, "3": 3.0}
    assert {text: parsed_seconds(text) for text in wanted} == wanted


def test_a_time_is_iso_or_how_long_ago() -> None:
    assert parsed_time("2026-01-31T17:00:00Z") == datetime(2026, 1, 31, 17, tzinfo=UTC)
    assert parsed_time("2026-01-31T18:00") == datetime(2026, 1, 31, 18).astimezone()
    for text, ago in (("30s", timedelta(seconds=30)), ("2h", timedelta(hours=2))):
        assert abs(datetime.now(UTC) - ago - parsed_time(text)) < timedelta(seconds=5)


@pytest.mark.parametrize("text", ["yesterday", "", "5", "2026-13-01", "10m", "9e9d", "9999999d"])
def test_what_is_neither_is_refused_with_examples_of_both(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"2026-01-31T18:00 .* 30s, 5min, 2h or 7d"):
        parsed_time(text)


@pytest.mark.parametrize(
    "words",
    [
        ("compact", "none", "--timeout", "soon"),
        ("top", "none", "--interval", "10m"),
        ("read", "none", "--since", "soon"),
        ("serve", "none/there", "--retain-age", "2 weeks"),
    ],
)
def test_a_wrong_time_is_a_usage_error_that_says_what_is_allowed(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(application, words)
    assert result.exit_code == 2
    assert "5min, 2h or 7d" in result.output
