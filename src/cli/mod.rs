//! What was typed, what it means, one file per command, and the only map of errors to exit codes.
