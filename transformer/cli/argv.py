"""Normalizes command line arguments.

Users write them as for dbt: options before or after the command, several values after one
`--select`, and options that only dbt supports. This is the only place that handles this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from typer.core import TyperGroup

# Options that take values until the next option.
MANY = frozenset(
    {"--select", "-s", "--exclude", "--resource-type", "--exclude-resource-type", "--output-keys"}
)
# Other spellings.
SAME: Mapping[str, str] = {
    "--models": "--select",
    "--model": "--select",
    "-m": "--select",
    "--resource-types": "--resource-type",
    "--exclude-resource-types": "--exclude-resource-type",
    "-v": "--version",
    "-V": "--version",
    "-h": "--help",
}
_COMMANDS = {"list": "ls"}
# dbt options that are ignored: flags, and options with a value.
_ALONE = (
    *("partial-parse", "static-parser", "version-check", "cache-selected-only", "introspect"),
    *(
        "send-anonymous-usage-stats",
        "print",
        "use-colors-file",
        "populate-cache",
        "log-cache-events",
    ),
    *("use-experimental-parser", "use-fast-test-edges", "write-json", "upgrade", "lock"),
    *("show-all-deprecations", "inject-ephemeral-ctes", "show-resource-report", "macro-debugging"),
    *("partial-parse-file-diff", "strict-mode", "single-threaded", "connection", "config-dir"),
    *(
        "record-timing-info",
        "validate-macro-args",
        "clean-project-files-only",
        "export-saved-queries",
    ),
    *("static", "add-package", "upload-to-artifacts-ingest-api"),
)
_OFF_ONLY = (
    *("defer", "favor-state", "fail-fast", "quiet", "warn-error", "debug", "full-refresh"),
    *("store-failures", "empty", "compile", "empty-catalog", "browser"),
)
_FOLLOWED = (
    *("log-format", "log-format-file", "log-level", "log-level-file", "log-path"),
    *("log-file-max-bytes", "printer-width", "warn-error-options", "partial-parse-file-path"),
    *("record-timing-info", "cache-dir", "event-buffer-size", "macro-debug"),
)
SILENT: Mapping[str, bool] = {
    **{f"--{name}": False for name in _ALONE},
    **{f"--no-{name}": False for name in (*_ALONE, *_OFF_ONLY)},
    **{f"--{name}": True for name in _FOLLOWED},
    "-r": True,
    "-S": False,
}


class CommandGroup(TyperGroup):
    """The group of all commands, which also accepts arguments in dbt's style."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Normalizes the arguments before parsing them."""
        return super().parse_args(ctx, normalized(args, self))


def normalized(args: Sequence[str], group: Any) -> list[str]:
    """The arguments as: group options, command, its options with one value each; without ignored
    options."""
    takes = _takes(group)
    early, path, rest = _divided(list(args), group, takes)
    command = _command_at(group, path)
    group_options, command_options = _options(group), _options(command)
    front = [word for option in early if option[0] in group_options for word in option]
    if command is group:
        return [
            *front,
            *(word for option in early if option[0] not in group_options for word in option),
        ]
    moved = [
        o
        for o in early
        if o[0] not in group_options and (o[0] in command_options or o[0] not in takes)
    ]
    behind = [*moved, *_read(rest, {**takes, **command_options})]
    return [*front, *path, *(word for option in behind for word in option)]


def _divided(
    args: list[str], group: Any, takes: Mapping[str, bool]
) -> tuple[list[list[str]], list[str], list[str]]:
    """The options before the command, the command's words, and the arguments after it."""
    early: list[list[str]] = []
    path: list[str] = []
    at: Any = group
    while args and hasattr(at, "commands"):
        if args[0].startswith("-"):
            count = _length(args, takes)
            early += _read(args[:count], takes)
            args = args[count:]
            continue
        word = _COMMANDS.get(args[0], args[0])
        args = args[1:]
        path.append(word)
        at = at.commands.get(word)
    return early, path, args


def _length(args: Sequence[str], takes: Mapping[str, bool]) -> int:
    name, equals, _ = args[0].partition("=")
    name = SAME.get(name, name)
    return 2 if not equals and SILENT.get(name, takes.get(name, False)) else 1


def _read(args: Sequence[str], takes: Mapping[str, bool]) -> Iterator[list[str]]:
    """Yields each option with its value, and arguments that belong to no option."""
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if word == "--":
            yield from ([item] for item in (word, *rest))
            return
        name, equals, value = word.partition("=")
        name = SAME.get(name, name)
        if not word.startswith("-"):
            yield [word]
        elif name in SILENT and name not in takes:
            rest = rest[1:] if SILENT[name] and not equals else rest
        elif name in MANY:
            values = [value] if equals else []
            while rest and not rest[0].startswith("-"):
                values.append(rest.pop(0))
            yield from ([name, item] for item in values) if values else ([name],)
        elif equals and name.startswith("--"):
            yield [name, value] if takes.get(name, True) else [name]
        elif takes.get(name) and rest:
            yield [name, rest.pop(0)]
        else:
            yield [name]


def _command_at(group: Any, path: Sequence[str]) -> Any:
    at = group
    for word in path:
        at = getattr(at, "commands", {}).get(word)
    return at


def _options(command: Any) -> dict[str, bool]:
    """The options of a command, and whether each takes a value."""
    options: dict[str, bool] = {}
    for parameter in getattr(command, "params", ()):
        if parameter.param_type_name == "option":
            options |= dict.fromkeys(
                (*parameter.opts, *parameter.secondary_opts), not parameter.is_flag
            )
    return options


def _takes(group: Any) -> dict[str, bool]:
    """The options of all commands together."""
    options: dict[str, bool] = {}
    for command in group.commands.values():
        options |= _takes(command) if hasattr(command, "commands") else _options(command)
    return options
