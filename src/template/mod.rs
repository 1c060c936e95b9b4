//! The only user of minijinja: compiled templates, lazy variables, filters, tests, lookups.
