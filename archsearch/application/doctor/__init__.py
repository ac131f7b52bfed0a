"""What machine this is, what is broken on it or in a study, and how to mend it."""

from archsearch.application.doctor.checks import Check, Subject
from archsearch.application.doctor.examining import Diagnosis, examine_machine

__all__ = ["Check", "Diagnosis", "Subject", "examine_machine"]
