"""The desk: one board at a cable, reached, brought up to date, talked to and examined."""
