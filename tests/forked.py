"""A process that has imported everything and becomes the command again and again, by forking.

Most of the time of a short command is importing. Run as a module it reads one request a line,
`{"argv", "cwd", "env", "out"}`, and answers each with the command's exit code.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

Servers = SimpleQueue["subprocess.Popen[str]"]


@contextmanager
def servers(count: int) -> Iterator[Servers]:
    """So many of these processes, to be used by as many threads."""
    root = Path(__file__).parent.parent
    words = [sys.executable, "-m", "tests.forked"]
    pipe = subprocess.PIPE
    made = [
        subprocess.Popen(words, cwd=root, stdin=pipe, stdout=pipe, text=True) for _ in range(count)
    ]
    free: Servers = SimpleQueue()
    for each in made:
        free.put(each)
    try:
        yield free
    finally:
        for each in made:
            each.communicate()  # they end when nobody has a request any more


def run(free: Servers, argv: list[str], cwd: Path, env: Mapping[str, str]) -> tuple[int, str]:
    """Runs `transform` with these words: its exit code, and what it printed."""
    server = free.get()
    try:
        with tempfile.NamedTemporaryFile() as out:
            request = {"argv": argv, "cwd": str(cwd), "env": dict(env), "out": out.name}
            assert server.stdin
            assert server.stdout
            server.stdin.write(json.dumps(request) + "\n")
            server.stdin.flush()
            return int(server.stdout.readline()), Path(out.name).read_text(encoding="utf-8")
    finally:
        free.put(server)


def _serve() -> None:
    import transformer.cli.app
    import transformer.cli.report
    import transformer.flows.execution  # noqa: F401 - imported for its time

    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(request)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(request: Mapping[str, object]) -> None:
    """Turns this process into the command. Does not return."""
    from transformer.__main__ import main

    handle = os.open(str(request["out"]), os.O_WRONLY | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, taken in ((0, nothing), (1, handle), (2, handle)):
        os.dup2(taken, number)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # in order with what goes to stderr
    os.chdir(str(request["cwd"]))
    os.environ.clear()
    os.environ.update(request["env"])  # type: ignore[call-overload]
    sys.argv = ["transform", *request["argv"]]  # type: ignore[misc]
    code = 1
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
