//! Steps, effects, risks and their renderings.
