"""`python -m archsearch` is the command `archsearch`."""

from archsearch.cli import main

main()
