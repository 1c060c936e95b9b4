//! Modules for xCAT management nodes; each reads back what it did.
