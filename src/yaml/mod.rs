//! YAML events to nodes with spans; PyYAML scalars; the emitter.
