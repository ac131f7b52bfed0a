"""Speed and scale, side by side with what people would use instead; each module is a command."""
