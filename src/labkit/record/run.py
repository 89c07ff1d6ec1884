"""A run folder as an object: made once, opened any number of times, its status derived from what is in it.

Layout (every file is optional but `run.json`):

    run.json       what was asked first and with what; never changed
    config.yaml    the resolved config
    events.jsonl   attempts, later asks, warnings, signals, finish
    prompts.jsonl  one line a prompt, in the order in which batches take them
    metrics.jsonl  one line a logged training step
    golds/         golds of a score hash, where they are others than those of the prompts
    rows/          rollouts, a segment for each attempt
    scores/        verdicts, a file for each score hash
    rankings/      scores of rerankers, a file for each of them
    result.json    counts and metrics at the last completion
    rows.parquet   rows and verdicts after compaction
    artifacts/     checkpoints, tensors, figures
    lock           held by the process at work
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from labkit.errors import LabkitError, RecordError
from labkit.record.files import (
    LineFile,
    disk_error,
    exclusive_lock,
    is_locked,
    iterate_json_lines,
    json_line,
    read_json,
    read_lines,
    sync_folder,
    write_atomically,
    write_json_atomically,
)
from labkit.record.identity import Arm
from labkit.record.provenance import boot_id
from labkit.record.redaction import redact_text
from labkit.record.schema import SCHEMA, Manifest, read_manifest

Status = Literal["done", "running", "interrupted"]


@dataclass(frozen=True, slots=True)
class Ask:
    """What a run owes when nothing is done yet: every arm's rollouts of the first `num_prompts` prompts."""

    num_prompts: int
    arms: tuple[tuple[Arm, int], ...]
    """Each arm with its rollouts a prompt; a greedy arm has one."""

    def joined(self, other: Ask) -> Ask:
        """Both asks at once: the larger counts, the arms of either. What was asked for is never taken back."""
        # By key: arms that differ only in what does not touch them (greedy under another top_p) are one.
        arms = {arm.key: (arm, count) for arm, count in self.arms}
        for arm, count in other.arms:
            known, so_far = arms.get(arm.key, (arm, 0))
            arms[arm.key] = (known, max(count, so_far))
        return Ask(max(self.num_prompts, other.num_prompts), tuple(arms.values()))

    @property
    def num_rollouts(self) -> int:
        """Rollouts over all prompts and arms."""
        return self.num_prompts * sum(count for _, count in self.arms)

    def as_json(self) -> dict[str, Any]:
        return {
            "num_prompts": self.num_prompts,
            "arms": [{"key": arm.key, **arm.as_json(), "num_rollouts": count} for arm, count in self.arms],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Ask:
        fields = ("method", "value", "top_p", "top_k", "repetition_penalty")
        arms = tuple((Arm(**{name: arm[name] for name in fields}), arm["num_rollouts"]) for arm in value["arms"])
        return cls(value["num_prompts"], arms)


@dataclass(frozen=True, slots=True)
class Run:
    """An existing run folder. Reading it never changes it; writing needs `working`."""

    path: Path
    manifest: Manifest

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def command(self) -> str:
        return str(self.manifest["command"])

    @property
    def base_hash(self) -> str:
        return str(self.manifest["base_hash"])

    @property
    def score(self) -> Mapping[str, Any]:
        """What the verdicts in force rest on, scorer and golds: as first asked, or as last scored again."""
        again = self.rescored()
        score: Mapping[str, Any] = again["score"] if again else self.manifest["score"]
        return score

    @property
    def score_hash(self) -> str:
        """The score hash of the verdicts in force; those of other scorers stand beside them."""
        again = self.rescored()
        return str(again["hash"] if again else self.manifest["score_hash"])

    def rescored(self) -> dict[str, Any] | None:
        """The newest event `rescored`, which says whose verdicts are in force; None before the first."""
        # Hardly any run has one: looking for the word is quicker than parsing every event.
        if b'"rescored"' not in read_lines(self.events_path)[0]:
            return None
        return next((event for event in reversed(self.events()) if event.get("event") == "rescored"), None)

    @property
    def rows_dir(self) -> Path:
        return self.path / "rows"

    @property
    def parquet_path(self) -> Path:
        return self.path / "rows.parquet"

    @property
    def artifacts_dir(self) -> Path:
        return self.path / "artifacts"

    def golds_path(self, score_hash: str) -> Path:
        """The golds of these verdicts, where they are others than the prompts hold."""
        return self.path / "golds" / f"{score_hash}.jsonl"

    @property
    def prompts_path(self) -> Path:
        return self.path / "prompts.jsonl"

    @property
    def events_path(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def result_path(self) -> Path:
        return self.path / "result.json"

    @property
    def lock_path(self) -> Path:
        return self.path / "lock"

    def scores_path(self, score_hash: str) -> Path:
        return self.path / "scores" / f"{score_hash}.jsonl"

    def ranking_path(self, ranking_hash: str) -> Path:
        return self.path / "rankings" / f"{ranking_hash}.jsonl"

    def events(self) -> list[dict[str, Any]]:
        """Everything that happened, oldest first."""
        return list(iterate_json_lines(self.events_path)) if self.events_path.exists() else []

    def ask(self) -> Ask:
        """Everything asked for up to now."""
        ask = Ask.from_json(self.manifest["ask"])
        for event in self.events():
            if event.get("event") == "asked":
                ask = ask.joined(Ask.from_json(event["ask"]))
        return ask

    def prompts(self) -> list[dict[str, Any]]:
        """The prompts, in the order in which they were first asked for; of several lines with one id the last counts.

        Raises:
            RecordError: the file is missing, damaged, or holds fewer than were asked for.
        """
        if not self.prompts_path.exists():
            raise RecordError(f"{self.prompts_path} is missing", "restore it from a copy; the rows are intact")
        prompts = list({line.get("id"): line for line in iterate_json_lines(self.prompts_path)}.values())
        if len(prompts) < self.ask().num_prompts:
            missing = self.ask().num_prompts - len(prompts)
            raise RecordError(
                f"{self.prompts_path} lacks {missing} prompts", "restore it from a copy; the rows are intact"
            )
        return prompts

    def result(self) -> dict[str, Any] | None:
        """What the last completion wrote; None before the first.

        A damaged file counts as none: it is worked out again from the rows when the run is resumed.
        """
        return _result(self.path)

    def status(self) -> Status:
        """`running` while a process holds the lock, `done` when nothing asked for is owed, else `interrupted`."""
        return self.status_with(self.result())

    def status_with(self, result: Mapping[str, Any] | None) -> Status:
        """`status` for a caller that has read the result already."""
        return _status(self.path, result, lambda: self.ask().num_rollouts)

    def owes_only_rankings(self) -> bool:
        """Whether all rollouts are there, and rerankers that were asked for have still to speak."""
        result = self.result()
        if result is None or not result.get("unranked"):
            return False
        return _owes_nothing(self.path, result | {"unranked": []}, lambda: self.ask().num_rollouts)

    @property
    def way_on(self) -> str:
        """The command that does what an interrupted run owes."""
        return self.way_on_as(str(self.path))

    def way_on_as(self, reference: str) -> str:
        """`way_on` with the run called by an id or a name in place of its path."""
        flag = "--rerank" if self.owes_only_rankings() else "--resume"
        return f"labkit {self.command} {flag} {shlex.quote(reference)}"

    @property
    def way_to_end(self) -> str:
        """What to do about a run that is not done: to wait while it is worked on, else the command that goes on."""
        if is_locked(self.lock_path):
            return f"wait for {self.id}, which is running"
        return f"finish it first: {self.way_on}"

    def note(self, event: str, **fields: Any) -> None:
        """Append an event."""
        line = json_line({"time": now(), "event": event, **fields})
        log = LineFile(self.events_path)
        try:
            log.append(line)
        finally:
            log.close()

    @contextmanager
    def working(self) -> Iterator[int]:
        """Hold the run's lock for a block of work; gives the attempt's number, from 1.

        Raises:
            RecordError: another process is at work on this run.
        """
        holder = {"host": socket.gethostname(), "boot": boot_id(), "pid": os.getpid(), "start": now()}
        with exclusive_lock(self.lock_path, holder):
            attempt = 1 + sum(event.get("event") == "start" for event in self.events())
            self.note("start", attempt=attempt, pid=os.getpid())
            try:
                yield attempt
            except BaseException as error:
                with suppress(LabkitError):  # a full disk must not hide why the attempt ended
                    self.note(
                        "stopped", attempt=attempt, reason=type(error).__name__, message=redact_text(str(error))[:500]
                    )
                raise

    @contextmanager
    def locked(self, doing: str) -> Iterator[None]:
        """Hold the run's lock for work that is no attempt at its rollouts.

        Args:
            doing: one word, for whoever wants the lock meanwhile

        Raises:
            RecordError: another process is at work on this run.
        """
        with exclusive_lock(self.lock_path, {"pid": os.getpid(), "start": now(), "doing": doing}):
            yield

    def finish(self, result: Mapping[str, Any], *, owed: int, num_asked: int) -> None:
        """Note the end of an attempt and replace `result.json`.

        Args:
            owed: rollouts that are still to be made; `unranked` in the result names rerankers that have still to speak
        """
        self.note("finish", owed=owed)
        write_json_atomically(
            self.result_path,
            {"finished": now(), "owed": owed, "num_asked": num_asked, "events_bytes": self.events_path.stat().st_size}
            | dict(result),
        )

    def amend(self, fields: Mapping[str, Any]) -> None:
        """Replace parts of the result; a run that owed nothing before the last events owes nothing after them.

        Args:
            fields: None takes a field away

        Raises:
            RecordError: there is no result.
        """
        changed = read_json(self.result_path) | dict(fields)
        result = {name: value for name, value in changed.items() if name not in fields or value is not None}
        if _owes_nothing(self.path, result, lambda: self.ask().num_rollouts):
            result["events_bytes"] = self.events_path.stat().st_size
        write_json_atomically(self.result_path, result)

    def add_prompts(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Append prompts; a batch already in flight does not see them."""
        log = LineFile(self.prompts_path)
        try:
            log.append(b"".join(json_line(line) for line in lines))
        finally:
            log.close()


def create_run(
    runs_dir: Path,
    *,
    command: str,
    slug: str,
    manifest: Mapping[str, Any],
    config_yaml: str,
    prompts: Iterable[Mapping[str, Any]],
) -> Run:
    """Make a run folder. `run.json` comes last: a folder without it is not a run yet, and readers pass over it.

    Raises:
        RecordError: the runs folder may not be written. MachineError: the disk is full.
    """
    created = datetime.now(UTC)
    name = f"{_id_time(created)}-{slugify(slug)}-{secrets.token_hex(3)}"
    path = runs_dir / command / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir()
        (path / "rows").mkdir()
        (path / "scores").mkdir()
        sync_folder(path.parent)
    except OSError as error:
        raise disk_error(error, path) from None
    full = {"schema": SCHEMA, "id": name, "command": command, "created": iso(created), **manifest}
    run = Run(path, full)
    write_atomically(path / "config.yaml", config_yaml.encode())
    write_atomically(run.prompts_path, b"".join(json_line(prompt) for prompt in prompts))
    write_json_atomically(path / "run.json", full)
    return run


def open_run(path: Path) -> Run:
    """Open a run folder.

    Raises:
        RecordError: it is no run folder, is damaged, or has a newer schema.
    """
    manifest_path = path / "run.json"
    if not manifest_path.exists():
        raise RecordError(f"{path} is not a run: it has no run.json", "labkit runs list shows the runs there are")
    return Run(path, read_manifest(manifest_path))


def status_of(path: Path) -> Status:
    """`Run.status` of a run folder, without reading its manifest where nothing was asked since the last completion.

    Raises:
        RecordError: the manifest has to be read, and is damaged.
    """
    return _status(path, _result(path), lambda: open_run(path).ask().num_rollouts)


def _result(path: Path) -> dict[str, Any] | None:
    try:
        return read_json(path / "result.json")
    except RecordError:
        return None


def _status(path: Path, result: Mapping[str, Any] | None, num_asked: Callable[[], int]) -> Status:
    if is_locked(path / "lock"):
        return "running"
    return "done" if _owes_nothing(path, result, num_asked) else "interrupted"


def _owes_nothing(path: Path, result: Mapping[str, Any] | None, num_asked: Callable[[], int]) -> bool:
    if result is None or result.get("owed") != 0 or result.get("unranked"):
        return False
    # Events only grow. If nothing was asked since the completion there is no need to read them.
    grown = _size(path / "events.jsonl") > result.get("events_bytes", -1)
    return not grown or num_asked() <= int(result.get("num_asked", -1))


def slugify(text: str) -> str:
    """A name fit for a folder: lower case, digits and hyphens, at most 40 characters."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:40].strip("-.") or "run"


def id_before(seconds: float) -> str:
    """What every id begins with, or sorts after, of a run that was made so many seconds ago or later."""
    return _id_time(datetime.now(UTC) - timedelta(seconds=seconds))


def _id_time(time: datetime) -> str:
    return f"{time:%Y%m%dT%H%M%S}{time.microsecond // 1000:03d}Z"


def slug_of(run_id: str) -> str:
    """The name within the id of a run, as `slugify` made it; no text where the folder was named by somebody else."""
    return run_id.partition("-")[2].rpartition("-")[0]


def now() -> str:
    """The time, UTC, ISO 8601 with milliseconds."""
    return iso(datetime.now(UTC))


def iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def refuse_if_running(run: Run) -> None:
    """Raise RecordError while a process is at work on the run."""
    if is_locked(run.lock_path):
        raise RecordError(f"{run.path} is being worked on", "wait for it, or stop it, and try again")
