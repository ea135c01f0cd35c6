"""The access room: the page's users, their sessions and tokens, and the audit trail of what they do."""
