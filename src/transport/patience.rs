//! Time limits for hosts, on a machine that may itself be the one that is slow.
//!
//! Only time in which this program ran counts. Where the machine has far more to do than it can, as when hundreds of hosts
//! are reached at once, waiting for a login or a shell may take some times longer: the answer may wait here.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

/// How long this program sleeps at once; what a sleep takes longer is its own delay.
const TICK: Duration = Duration::from_millis(250);
/// Runnable processes for each processor from which the machine counts as overloaded.
const BUSY: f64 = 3.0;
/// A limit becomes at most so many times longer.
const MOST: u32 = 4;

/// Waits for a future as long as `limit`; nothing when that is not enough.
pub(super) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    ticks(limit, future.as_mut()).await
}

/// How long a host may take to show that it is there, when something on it is to be stopped.
pub(super) const SIGN_OF_LIFE: Duration = Duration::from_secs(2);
/// What is told of one that does not.
pub(super) const NO_SIGN: &str = "the host does not answer";

/// The same, longer while this machine is overloaded.
pub async fn within_load<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..MOST {
        let ended = ticks(limit, future.as_mut()).await;
        if ended.is_some() || !is_overloaded() {
            return ended;
        }
    }
    None
}

async fn ticks<F: Future>(limit: Duration, mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut left = limit;
    loop {
        let tick = left.min(TICK);
        tokio::select! {
            biased;
            ended = future.as_mut() => return Some(ended),
            // A host that never stops talking uses up all that the runtime lets a task do at once; the clock goes on.
            () = tokio::task::unconstrained(tokio::time::sleep(tick)) => left -= tick,
        }
        if left.is_zero() {
            return None;
        }
    }
}

/// Whether this machine has far more to do than it can. Where nobody tells, it has not.
fn is_overloaded() -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").ok().and_then(|text| runnable(&text));
    load.is_some_and(|load| load > BUSY * cores as f64)
}

/// Reads the load of the last minute, or what is runnable at this moment if that is more.
fn runnable(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let minute: f64 = words.next()?.parse().ok()?;
    let now: f64 = words.nth(2)?.split('/').next()?.parse().ok()?;
    Some(minute.max(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_read() {
        assert_eq!(runnable("0.57 1.00 1.14 1/207 9999"), Some(1.0));
        assert_eq!(runnable("120.5 1.00 1.14 1/207 9999"), Some(120.5));
        assert_eq!(runnable("nonsense"), None);
    }

    /// What is always ready leaves no time for a clock that waits for its turn.
    #[tokio::test]
    async fn limits_end_what_never_stops() {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        sender.send(()).unwrap();
        let busy = async {
            while receiver.recv().await.is_some() {
                sender.send(()).unwrap();
            }
        };
        assert_eq!(within(Duration::from_millis(50), busy).await, None);
    }

    #[tokio::test]
    async fn limits_end_waits() {
        assert_eq!(within(Duration::from_secs(1), async { 7 }).await, Some(7));
        for limit in [Duration::ZERO, Duration::from_millis(20), TICK + Duration::from_millis(20)] {
            let begun = std::time::Instant::now();
            assert_eq!(within(limit, std::future::pending::<()>()).await, None);
            assert!(begun.elapsed() >= limit);
        }
        assert_eq!(within_load(Duration::from_millis(20), std::future::pending::<()>()).await, None);
    }
}
