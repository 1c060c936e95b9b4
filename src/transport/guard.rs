//! A password that was refused once is not tried on a thousand hosts, where it could lock as many accounts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tokio::sync::OwnedMutexGuard;

use crate::value::Secret;

/// What is known of the passwords of a run. Until one is proven, a single host tries it while the others wait.
#[derive(Default)]
pub(super) struct PasswordGuard {
    known: Mutex<HashMap<[u8; 32], Arc<tokio::sync::Mutex<Proof>>>>,
}

/// What is known of one password.
#[derive(Clone, Debug, Default)]
pub(super) enum Proof {
    #[default]
    None,
    Good,
    /// This host refused it.
    Refused(String),
}

/// Whether a password may be tried.
pub(super) enum Admission {
    /// It is good elsewhere.
    Proven,
    /// Nobody knows yet; others wait for what comes of it.
    First(OwnedMutexGuard<Proof>),
    /// It was refused by this host.
    Refused(String),
}

impl PasswordGuard {
    /// Asks whether a password may be tried for somebody.
    pub async fn admit(&self, who: &str, password: &Secret) -> Admission {
        let digest =
            Sha256::new().chain_update(who).chain_update([0]).chain_update(password.expose()).finalize();
        let slot = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.entry(digest.into()).or_default().clone()
        };
        let proof = slot.lock_owned().await;
        match &*proof {
            Proof::None => Admission::First(proof),
            Proof::Good => Admission::Proven,
            Proof::Refused(host) => Admission::Refused(host.clone()),
        }
    }
}

impl Admission {
    /// Says what came of the try on a host.
    pub fn settle(self, proof: Proof) {
        if let Admission::First(mut known) = self {
            *known = proof;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_host_tries_and_the_others_hear_of_it() {
        let guard = PasswordGuard::default();
        let (good, bad) = (Secret::new("sesame"), Secret::new("simsim"));
        let Admission::First(first) = guard.admit("root", &bad).await else { panic!("nobody knows it") };
        // Others wait while the first one tries.
        let waits =
            tokio::time::timeout(std::time::Duration::from_millis(20), guard.admit("root", &bad)).await;
        assert!(waits.is_err());
        Admission::First(first).settle(Proof::Refused("n1".into()));
        assert!(matches!(guard.admit("root", &bad).await, Admission::Refused(host) if host == "n1"));
        // Another user or another password is another matter.
        assert!(matches!(guard.admit("ann", &bad).await, Admission::First(_)));
        guard.admit("root", &good).await.settle(Proof::Good);
        assert!(matches!(guard.admit("root", &good).await, Admission::Proven));
        // A try that was given up says nothing.
        drop(guard.admit("ann", &good).await);
        assert!(matches!(guard.admit("ann", &good).await, Admission::First(_)));
    }
}
