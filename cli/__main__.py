"""`python -m cli` is `boxcar`."""

from cli.main import main

main()
