//! Keywords that plays, roles, blocks and imports hand down to their tasks.

use std::sync::Arc;

use crate::template::{Expr, Tree, VarMap};
use crate::value::Value;

/// The inheritable keywords in effect at one place.
///
/// A task carries the *effective* ones, merged at load from play, role, blocks, imports and the task itself:
/// `when`, `tags`, `environment`, `module_defaults` and `vars` add up (outer first); of the others the innermost wins.
/// Booleans and numbers may still be templates.
#[derive(Clone, Debug, Default)]
pub struct Directives {
    pub r#become: Option<Tree>,
    pub become_user: Option<Tree>,
    pub become_method: Option<Tree>,
    pub become_flags: Option<Tree>,
    pub become_exe: Option<Tree>,
    pub connection: Option<Tree>,
    pub remote_user: Option<Tree>,
    pub port: Option<Tree>,
    /// Maps (or templates of maps), outer first; later ones win.
    pub environment: Vec<Tree>,
    /// All must hold, outer first.
    pub when: Vec<Expr>,
    /// Union of all levels, lists flattened, no duplicates of literal tags.
    pub tags: Vec<Tree>,
    /// Variables of blocks, includes and the task, outer first; later ones win. Play variables are not here.
    pub vars: Vec<VarMap>,
    /// The part of `vars` that came with an include, import or role statement: Ansible ranks it above
    /// `set_fact` and registered variables. Outer first.
    pub include_params: Vec<VarMap>,
    /// What a block notifies for its tasks; already in [`super::Task::notify`] where the task has none of its own.
    pub notify: Option<Vec<Tree>>,
    pub no_log: Option<Tree>,
    pub ignore_errors: Option<Tree>,
    pub ignore_unreachable: Option<Tree>,
    pub check_mode: Option<Tree>,
    pub diff: Option<Tree>,
    pub delegate_to: Option<Tree>,
    pub delegate_facts: Option<Tree>,
    pub run_once: Option<Tree>,
    pub any_errors_fatal: Option<Tree>,
    pub throttle: Option<Tree>,
    pub timeout: Option<Tree>,
    /// Maps from module (or `group/NAME`) to arguments, outer first; later ones win.
    pub module_defaults: Vec<Tree>,
    pub debugger: Option<Tree>,
    pub collections: Vec<Arc<str>>,
    /// What holds around, where a keyword may turn out to be `omit`; see [`Directives::levels`].
    pub outer: Option<Arc<Directives>>,
}

impl Directives {
    /// Returns what a keyword says here or, while that is `omit`, what it says further outside, as in Ansible.
    pub fn said<'a, E>(
        &'a self,
        keyword: impl Fn(&'a Directives) -> &'a Option<Tree>,
        render: impl Fn(&Tree) -> Result<Value, E>,
    ) -> Result<Option<Value>, E> {
        let levels = std::iter::successors(Some(self), |level| level.outer.as_deref());
        for tree in levels.map(keyword).map_while(Option::as_ref) {
            let value = render(tree)?;
            if !matches!(value, Value::Omit) {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Whether a keyword is a template that could be `omit`.
    fn may_omit(&self) -> bool {
        let keywords = [
            &self.r#become,
            &self.become_user,
            &self.become_method,
            &self.become_flags,
            &self.become_exe,
            &self.connection,
            &self.remote_user,
            &self.port,
            &self.no_log,
            &self.ignore_errors,
            &self.ignore_unreachable,
            &self.check_mode,
            &self.diff,
            &self.delegate_to,
            &self.delegate_facts,
            &self.run_once,
            &self.any_errors_fatal,
            &self.throttle,
            &self.timeout,
        ];
        keywords.into_iter().flatten().any(|tree| tree.as_value().is_none())
    }

    /// Returns what holds inside `self` where `inner` is written.
    pub fn with(&self, inner: &Directives) -> Directives {
        fn last(outer: &Option<Tree>, inner: &Option<Tree>) -> Option<Tree> {
            inner.as_ref().or(outer.as_ref()).cloned()
        }
        fn both<T: Clone>(outer: &[T], inner: &[T]) -> Vec<T> {
            outer.iter().chain(inner).cloned().collect()
        }
        // Nothing to fall back to is nothing to keep.
        let outer = if inner.may_omit() { Some(Arc::new(self.clone())) } else { self.outer.clone() };
        Directives {
            outer,
            r#become: last(&self.r#become, &inner.r#become),
            become_user: last(&self.become_user, &inner.become_user),
            become_method: last(&self.become_method, &inner.become_method),
            become_flags: last(&self.become_flags, &inner.become_flags),
            become_exe: last(&self.become_exe, &inner.become_exe),
            connection: last(&self.connection, &inner.connection),
            remote_user: last(&self.remote_user, &inner.remote_user),
            port: last(&self.port, &inner.port),
            environment: both(&self.environment, &inner.environment),
            when: both(&self.when, &inner.when),
            tags: union_tags(&self.tags, &inner.tags),
            vars: both(&self.vars, &inner.vars),
            include_params: both(&self.include_params, &inner.include_params),
            notify: inner.notify.as_ref().or(self.notify.as_ref()).cloned(),
            no_log: last(&self.no_log, &inner.no_log),
            ignore_errors: last(&self.ignore_errors, &inner.ignore_errors),
            ignore_unreachable: last(&self.ignore_unreachable, &inner.ignore_unreachable),
            check_mode: last(&self.check_mode, &inner.check_mode),
            diff: last(&self.diff, &inner.diff),
            delegate_to: last(&self.delegate_to, &inner.delegate_to),
            delegate_facts: last(&self.delegate_facts, &inner.delegate_facts),
            run_once: last(&self.run_once, &inner.run_once),
            any_errors_fatal: last(&self.any_errors_fatal, &inner.any_errors_fatal),
            throttle: last(&self.throttle, &inner.throttle),
            timeout: last(&self.timeout, &inner.timeout),
            module_defaults: both(&self.module_defaults, &inner.module_defaults),
            debugger: last(&self.debugger, &inner.debugger),
            collections: if inner.collections.is_empty() {
                self.collections.clone()
            } else {
                inner.collections.clone()
            },
        }
    }
}

fn union_tags(outer: &[Tree], inner: &[Tree]) -> Vec<Tree> {
    let mut all: Vec<Tree> = outer.to_vec();
    for tag in inner {
        let known = tag.as_value().is_some_and(|v| all.iter().any(|t| t.as_value() == Some(v)));
        if !known {
            all.push(tag.clone());
        }
    }
    all
}
