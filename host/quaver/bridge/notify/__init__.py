"""Notifications: who is told of alarms, nodes that are gone, gaps and refused messages, by e-mail, webhook or ntfy."""
