"""The mails that we send: what they say, in which language, and how they reach a mail server."""


class MailSetupError(Exception):
    """A setting for mail can't be used; the text says which and what to do."""
