"""Ctrl-C and SIGTERM, alone or to the whole group: one sentence, no worker left, and the run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import zarr

import made_stores
from chunkwise import cli
from chunkwise.cli import main


def members(session: int) -> list[int]:
    """Processes of a session that are still there."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


@pytest.mark.parametrize("early", [True, False], ids=["while-workers-start", "at-work"])
@pytest.mark.parametrize(
    ("signal_number", "code", "to_all"),
    [(signal.SIGINT, 130, True), (signal.SIGTERM, 143, False), (signal.SIGTERM, 143, True)],
    ids=["ctrl-c", "sigterm", "sigterm-to-all"],
)
def test_a_stopped_run_ends_in_order_and_goes_on(
    tmp_path: Path, signal_number: signal.Signals, code: int, to_all: bool, early: bool
) -> None:
    store = made_stores.write(tmp_path / "i.ome.zarr", "0.5", "yx", (256, 256), chunk=64)
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = np.random.default_rng(0).integers(0, 5000, (256, 256))
    output = tmp_path / "o.ome.zarr"
    words = ["segment", str(store), "--block", "8,8", "--shard", "32,32", "--no-pyramid", "--output", str(output)]
    process = subprocess.Popen(
        [sys.executable, "-m", "chunkwise.cli", *words, "--workers", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    journal = tmp_path / "o.ome.zarr.run" / "journal"
    plan = tmp_path / "o.ome.zarr.run" / "plan.json"

    def at_work() -> bool:
        return any(b'"status":"done"' in segment.read_bytes() for segment in journal.glob("*.jsonl"))

    while process.poll() is None and not (plan.exists() if early else at_work()):
        time.sleep(0.002)
    if early:
        time.sleep(0.3)  # the workers are about to be started, or just being it
    (os.killpg if to_all else os.kill)(process.pid, signal_number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == code
    assert "Traceback" not in said
    assert "Warning" not in said
    assert said.splitlines()[-1].startswith("chunkwise segment: error: interrupted; run the same command again")
    deadline = time.monotonic() + 10
    while members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not members(process.pid)
    assert not output.exists()
    assert not (tmp_path / "o.ome.zarr.partial.lock").exists()
    if not early and not to_all:
        assert main([*words, "--workers", "1"]) == 0
        assert output.is_dir()


def test_the_exit_code_stays_where_the_interruption_came_inside_of_text_that_python_ran(tmp_path: Path) -> None:
    """Python would end itself by SIGINT: seen where Ctrl-C came while a dataclass was being made."""
    (tmp_path / "interrupted.py").write_text(
        "import sys\n"
        "from chunkwise import cli\n"
        "def run(args):\n"
        "    exec('raise KeyboardInterrupt')\n"
        "cli._run = run\n"
        "sys.exit(cli.main(['verify', 'x']))\n"
    )
    words = [sys.executable, "-m", "interrupted"]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 130, ended.stderr
    assert "interrupted; run the same command again" in ended.stderr


@pytest.mark.parametrize("code", [130, 143])
def test_a_signal_that_a_module_makes_another_error_of_is_still_one(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled modules do so while they are loaded, some without saying what came before."""

    def run(_: object) -> None:
        try:
            if code == 130:
                raise KeyboardInterrupt
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt as stop:
            raise ImportError("initialization failed") from (stop if code == 130 else None)

    monkeypatch.setattr(cli, "_run", run)
    assert cli.main(["verify", "x"]) == code
