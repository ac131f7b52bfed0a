"""What to try next: Optuna lives here, and the conductor that brings a study to its end."""
