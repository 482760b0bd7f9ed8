"""What stops a command: one sentence that says what happened, who can mend it, and how."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of `verbund`, the same for every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    ENVIRONMENT = 3
    INTERRUPTED = 130


class Failure(Exception):  # noqa: N818 - a failure is told to a person, it is no programming error
    """A command cannot do its work. `who` and `remedy` are for the person who reads it."""

    def __init__(self, what: str, *, who: str, remedy: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(what)
        self.what = what
        self.who = who
        self.remedy = remedy
        self.code = code

    def __str__(self) -> str:
        return f"{self.what}\n{self.who} can mend this: {self.remedy}"


class EnvironmentFailure(Failure):
    """The machine lacks something: a port, a directory, a right."""

    def __init__(self, what: str, *, remedy: str, who: str = "You") -> None:
        super().__init__(what, who=who, remedy=remedy, code=ExitCode.ENVIRONMENT)
