"""Starting a log's service from a library call, and finding the one that runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from logstore import errors
from logstore.disk_errors import writing
from logstore.errors import InUse, LogstoreError, NotFound, NotRunning
from logstore.files import Directory
from logstore.options import Options, folder_mode
from logstore.ring import region
from logstore.ring.client import Client
from logstore.ring.layout import SUPERVISOR, State
from logstore.ring.liveness import NAME as LOCK_FILE
from logstore.ring.liveness import LockFile
from logstore.segments import manifest

START_TIMEOUT_S: Final = 60.0
STARTS: Final = 3  # a service that dies so often while it starts will not come up
LINGER_S: Final = 1.0
SERVICE_LOG: Final = "service.log"
_LOOK_AGAIN_S: Final = 0.01


class _NoAnswer(NotRunning):
    """Tell that a supervisor ended, or was killed, without a word."""


def open_client(path: Path, *, name: str | None, flags: dict[str, object]) -> Client:
    """Attach to the log in a directory; start its service first if none runs.

    May be called by many processes at once: one of them starts the service, all attach.

    Raises:
        InUse: The log runs under another name than the one asked for.
        LogstoreError: What kept the service from starting.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    unanswered = 0
    while True:
        try:
            if supervised(path):
                client = attach_directory(path)
                if name is not None and name != client.identity.name:
                    client.close()
                    raise InUse(f"the log runs under the name {client.identity.name!r}", path=path)
                return client
            start(path, name=name, flags=flags)
        except NotRunning as error:
            # Starting or stopping just now; nothing signals its end to somebody not attached.
            unanswered += isinstance(error, _NoAnswer)
            if time.monotonic() > deadline or unanswered == STARTS:
                raise NotRunning(error.message, path=error.path) from None
            time.sleep(_LOOK_AGAIN_S)


def supervised(path: Path) -> bool:
    """Tell whether a supervisor, starting, running or stopping, has the directory."""
    if not (path / LOCK_FILE).exists():
        return False
    lock = LockFile(path)
    try:
        return lock.held(SUPERVISOR)
    finally:
        lock.close()


def attach_directory(path: Path, *, read_only: bool = False) -> Client:
    """Attach to the log that is served from a directory.

    Raises:
        NotFound: There is no log in the directory.
        NotRunning: It is not being served.
    """
    try:
        with Directory.open(path, create=False) as directory:
            found = manifest.load(directory)
    except FileNotFoundError:
        raise NotFound("there is no such directory", path=path) from None
    except NotADirectoryError:
        raise NotFound("this is not a directory", path=path) from None
    except PermissionError as error:
        raise errors.PermissionDenied(
            "cannot open the data directory", path=path, errno=error.errno
        ) from error
    except OSError as error:
        raise errors.ReadFailed(
            f"cannot open the data directory: {error.strerror}", path=path, errno=error.errno
        ) from error
    if found is None:
        if supervised(path):
            raise NotRunning("the log is just starting", path=path)
        raise NotFound("there is no log in this directory", path=path)
    return attach_name(found.name, read_only=read_only, path=path)


def attach_name(name: str, *, read_only: bool = False, path: Path | None = None) -> Client:
    """Attach to a running log by name.

    Raises:
        NotRunning: No log of this name runs.
        InUse: With `path`: the name belongs to another directory's log.
    """
    client = Client(region.require_name(name), read_only=read_only)
    try:
        if path is not None and not client.identity.directory.samefile(path):
            raise InUse(
                f"the name {name!r} is taken by another log; open this one with another name",
                path=client.identity.directory,
            )
        if client.state in (State.STARTING, State.DRAINING, State.CLOSED):
            raise NotRunning(f"the log {name!r} is {client.state.name.lower()}", path=path)
        # What the dead have left can be looked at all the same.
        if not read_only and not client.service_alive():
            raise NotRunning(
                f"the service of {name!r} was killed; start it again to recover what is in "
                "shared memory (`logstore serve`, or logstore.open)",
                path=client.identity.directory,
            )
    except BaseException:
        client.close()
        raise
    return client


def start(path: Path, *, name: str | None, flags: dict[str, object]) -> None:
    """Start a service that ends a little after its last client; return once it is ready.

    Raises:
        LogstoreError: Why it did not start, as the supervisor told it.
    """
    if path.is_symlink() and not path.exists():
        raise NotFound("the data directory is a link to nothing", path=path)
    given = {key: value for key, value in flags.items() if value is not None}
    mode = folder_mode(Options.load(path, **given).mode)
    with writing("the data directory"), Directory.open(path, create=True, mode=mode):
        pass  # so that its log has a place
    reader, writer = os.pipe()
    # -P: what lies in the caller's working directory is not to be imported by the service.
    command = [sys.executable, "-P", "-m", "logstore.workers.supervisor", str(path)]
    command += ["--options", json.dumps({"linger_s": LINGER_S, **given})]
    command += ["--ready-fd", str(writer), "--detach"]
    command += ["--name", name] if name is not None else []
    with os.fdopen(reader, "rb") as ready:
        try:
            with writing(SERVICE_LOG):
                log = (path / SERVICE_LOG).open("ab")
            with log:
                subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    pass_fds=[writer],
                    check=False,
                )
        finally:
            os.close(writer)
        answer = ready.readline()
    if not answer:
        raise _NoAnswer(f"the service did not start; see {SERVICE_LOG}", path=path)
    fields = json.loads(answer)
    if fields:
        error = _rebuild(fields)
        # Somebody else was quicker: then there is one to attach to.
        if not isinstance(error, InUse) or not supervised(path):
            raise error


def _rebuild(fields: dict[str, Any]) -> LogstoreError:
    kind = getattr(errors, str(fields.pop("error")), LogstoreError)
    message = str(fields.pop("message"))
    error: LogstoreError = kind(message, **fields)
    return error
