//! Variable precedence: one table of layers, looked up through a chain of shared maps.
