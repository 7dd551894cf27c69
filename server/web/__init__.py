"""The pages that people open in a browser. They call the service's own contract, as any client does."""
