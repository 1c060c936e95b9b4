//! Probe scripts for facts and the pure parsers of their output.
