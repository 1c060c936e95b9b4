//! The dispatcher and its workers; speaks only in events.
