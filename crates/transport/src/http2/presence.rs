//! Whether peers are connected.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

/// Counts the open connections to servers whose peer has completed the handshakes of TLS and HTTP/2. Probes that only connect
/// do not count. Cheap to clone: clones count together.
#[derive(Debug, Clone)]
pub struct Presence {
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    connected: usize,
    /// When a connection closed last, or the counting began.
    since: Instant,
}

/// An open connection. Dropping it ends its part in the count.
#[derive(Debug)]
pub(crate) struct Present(watch::Sender<State>);

impl Presence {
    /// Counts from now on. No peer is connected.
    #[must_use]
    pub fn new() -> Self {
        Self { state: watch::Sender::new(State { connected: 0, since: Instant::now() }) }
    }

    /// Counts a connection until the returned value is dropped.
    pub(crate) fn connected(&self) -> Present {
        self.state.send_modify(|state| state.connected += 1);
        Present(self.state.clone())
    }

    /// The number of peers that are connected.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state.borrow().connected
    }

    /// Resolves when no peer has been connected for this time. The time counts from this call, and again from the close of each
    /// last connection.
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub async fn absent_for(&self, limit: Duration) {
        let (begun, mut state) = (Instant::now(), self.state.subscribe());
        loop {
            let Ok(absent) = state.wait_for(|state| state.connected == 0).await.map(|state| *state) else {
                // `self` holds the sender.
                return std::future::pending().await;
            };
            // A connection that came and went meanwhile shows in the time.
            let changed = state.wait_for(|state| state.connected > 0 || state.since != absent.since);
            let is_over = match absent.since.max(begun).checked_add(limit) {
                Some(deadline) => timeout_at(deadline, changed).await.is_err(),
                None => timeout(limit, changed).await.is_err(),
            };
            if is_over {
                return;
            }
        }
    }
}

impl Default for Presence {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.send_modify(|state| *state = State { connected: state.connected - 1, since: Instant::now() });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn absence_counts_from_the_call_and_from_the_last_close() {
        let presence = Presence::new();
        sleep(10 * LIMIT).await;
        let begun = Instant::now();
        presence.absent_for(LIMIT).await;
        assert_eq!(begun.elapsed(), LIMIT);

        let (first, second) = (presence.connected(), presence.clone().connected());
        assert_eq!(presence.count(), 2);
        let waiting = tokio::spawn({
            let presence = presence.clone();
            async move { presence.absent_for(LIMIT).await }
        });
        sleep(10 * LIMIT).await;
        drop(first);
        sleep(10 * LIMIT).await;
        assert!(!waiting.is_finished(), "a peer is connected");
        drop(second);
        let closed = Instant::now();
        waiting.await.unwrap();
        assert_eq!((closed.elapsed(), presence.count()), (LIMIT, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_in_between_begins_the_time_again() {
        let presence = Presence::new();
        let begun = Instant::now();
        let waiting = tokio::spawn({
            let presence = presence.clone();
            async move { presence.absent_for(LIMIT).await }
        });
        for _ in 0..5 {
            sleep(LIMIT * 3 / 4).await;
            // It comes and goes before the waiting task runs.
            drop(presence.connected());
        }
        waiting.await.unwrap();
        assert_eq!(begun.elapsed(), LIMIT * 15 / 4 + LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_time_does_not_overflow() {
        assert!(timeout(LIMIT, Presence::new().absent_for(Duration::MAX)).await.is_err());
    }
}
