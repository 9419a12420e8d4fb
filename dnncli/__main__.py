"""`python -m dnncli` is `dnncli`."""

from dnncli.cli.app import main

main()
