"""The `verbund` command. It imports nothing before it can be interrupted: loading takes a moment."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Runs the command line; a Ctrl-C while it is loaded ends it as one later does, without a traceback."""
    try:
        from verbund.commands import run  # noqa: PLC0415

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
