"""What `make docs` adds to the pages of docs/: the references, and files from outside that folder."""
