"""`python -m bashu`."""

from bashu.cli import main

main()
