//! Asks a run to stop: first to begin nothing new, then to end what runs.

use std::sync::Arc;

use tokio::sync::watch;

/// How urgently a run is to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    #[default]
    No,
    /// Nothing new begins; what runs may end.
    Stopping,
    /// What runs is ended too.
    Ending,
}

/// Shared between who asks and who obeys. Clones are the same.
#[derive(Clone, Debug)]
pub struct Halt(Arc<watch::Sender<Level>>);

impl Default for Halt {
    fn default() -> Self {
        Halt(Arc::new(watch::channel(Level::No).0))
    }
}

impl Halt {
    /// Asks once more; the second time what runs is ended.
    pub fn ask(&self) {
        self.0.send_modify(|level| {
            *level = if *level == Level::No { Level::Stopping } else { Level::Ending };
        });
    }

    /// Whether nothing new may begin.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow() >= Level::Stopping
    }

    /// Whether what runs is to be ended.
    pub fn is_urgent(&self) -> bool {
        *self.0.borrow() == Level::Ending
    }

    /// Waits until nothing new may begin.
    pub async fn asked(&self) {
        self.reached(Level::Stopping).await;
    }

    /// Waits until what runs is to be ended.
    pub async fn urgent(&self) {
        self.reached(Level::Ending).await;
    }

    async fn reached(&self, level: Level) {
        // The sender lives in this value, so the wait cannot fail.
        let _ = self.0.subscribe().wait_for(|now| *now >= level).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_time_is_urgent() {
        let halt = Halt::default();
        let other = halt.clone();
        assert!(!other.is_asked());
        halt.ask();
        other.asked().await;
        assert!(other.is_asked() && !other.is_urgent());
        halt.ask();
        other.urgent().await;
        assert!(other.is_urgent());
    }
}
