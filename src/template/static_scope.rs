//! Variables in layers that do not change: what is known before anything runs.

use std::sync::Arc;

use super::{Scope, SearchPath, Var, VarMap};

/// Layers of variables, the strongest first.
pub struct StaticScope {
    pub layers: Vec<VarMap>,
    pub search: SearchPath,
}

impl Scope for StaticScope {
    fn get(&self, name: &str) -> Option<Var> {
        self.layers.iter().find_map(|layer| layer.get(name)).cloned().map(Var::Tree)
    }

    fn names(&self) -> Vec<Arc<str>> {
        self.layers.iter().flat_map(|layer| layer.keys().cloned()).collect()
    }

    fn search(&self) -> &SearchPath {
        &self.search
    }
}
