# SPDX-License-Identifier: Apache-2.0
"""Entry point of the command line: handles signals before it imports torch."""

from flash.cli.interrupts import run


def main() -> None:
    """Runs the command."""
    run(_command)


def _command() -> None:
    from flash.cli.main import app

    app(prog_name="pytorchvideo")


if __name__ == "__main__":
    main()
