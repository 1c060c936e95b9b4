//! Plays, blocks, tasks, handlers, roles, includes and imports as loaded from files; executes nothing.
