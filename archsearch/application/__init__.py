"""What a person asks for, a module each; wires the other packages."""
