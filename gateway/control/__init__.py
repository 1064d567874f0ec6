"""The admin door: a Unix socket that other local processes talk to."""
