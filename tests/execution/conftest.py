"""What Ray reads when it is imported, by whichever test comes first."""

import os

# Several nodes on one machine keep the address that they are given.
os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
# Ray remembers for the whole process whether its first cluster asked for a token; these do not.
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
