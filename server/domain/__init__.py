"""What is true: values and rules, with the standard library alone. No clock, no I/O, no wire."""
