"""How it is spoken: one file for each wire, thin."""
