"""What opens, obeys and answers commands: read from flash when one comes, given back when none has for a while."""
