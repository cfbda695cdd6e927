//! Multiplexed mode: the side that receives knocks.
//!
//! The dialer knocks, the acceptor replies, and the dialer opens a stream. A stream does not name the id it is for: the two
//! sides match streams to knocks by order alone. This file and the [dialer](super::dialer) therefore keep one rule: *each
//! time the acceptor lets a dialer in, exactly one stream follows, in the same order.*
//!
//! Peers in Go keep half of it. A dialer in Go whose wait has timed out opens no stream when it is let in after all. But
//! it sends one knock at a time, and the stream for one knock is on its way before the next knock. Hence a second rule:
//! when a serial dialer knocks again, *streams that have not come by then never will.*

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use rpcplugin_core::ServiceId;

use super::link::{KnockPolicy, LinkId};

/// The knocks that wait for their service, and the streams that are expected.
///
/// # Protocol
/// go-plugin `internal/grpcmux/grpc_server_muxer.go` and `grpc_client_muxer.go`. Differs: a Go acceptor never refuses, and
/// expects one stream at a time.
#[derive(Debug)]
pub(super) struct Acceptor {
    /// How long a dialer of rpcplugin waits for the reply to a knock.
    peer_timeout: Duration,
    /// Knocks for ids that are not served yet, the oldest first.
    held: VecDeque<HeldKnock>,
    /// What the next streams are for, the next first.
    expected: VecDeque<ExpectedStream>,
}

#[derive(Debug)]
struct HeldKnock {
    link: LinkId,
    policy: KnockPolicy,
    id: ServiceId,
    until: Instant,
}

#[derive(Debug)]
struct ExpectedStream {
    link: LinkId,
    /// `None` for a stream that has come without a knock.
    id: Option<ServiceId>,
    /// `None` if it is certain that the stream comes.
    until: Option<Instant>,
}

/// What to do with a knock.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KnockReply {
    Admit,
    Refuse,
    Later,
}

impl Acceptor {
    /// An acceptor that holds knocks of rpcplugin for about `peer_timeout` if their ids are not served yet.
    pub(super) fn new(peer_timeout: Duration) -> Self {
        Self { peer_timeout, held: VecDeque::new(), expected: VecDeque::new() }
    }

    /// Takes a knock. `arrived` streams have come that were not [routed](Self::route) yet. The caller sends the reply
    /// *after* this returns, when the stream is already expected.
    pub(super) fn knocked(
        &mut self,
        (link, policy): (LinkId, KnockPolicy),
        (id, served): (ServiceId, bool),
        arrived: usize,
        now: Instant,
    ) -> KnockReply {
        self.expected.retain(|expected| expected.is_awaited(now));
        if policy == KnockPolicy::Serial {
            let mut nth = 0;
            self.expected.retain(|expected| {
                nth += 1;
                // A dialer that knocks for the same id again may take the late reply for the reply to its new knock.
                nth <= arrived || (expected.id == Some(id) && !served)
            });
            self.held.retain(|held| held.link != link);
        }
        // Streams that came before this knock are not for it, even if they were not routed yet.
        self.expected.extend((self.expected.len()..arrived).map(|_| ExpectedStream {
            link,
            id: None,
            until: None,
        }));
        if self.expected.len() + self.held.len() >= MAX_KNOCKS {
            KnockReply::Refuse
        } else if served {
            self.expect(link, policy, id, now);
            KnockReply::Admit
        } else {
            let hold = match policy {
                KnockPolicy::Serial => HOLD,
                // A little less, so that a dialer with the same timeout receives the reason.
                KnockPolicy::Concurrent => HOLD.max(self.peer_timeout - self.peer_timeout / 10),
            };
            // If the clock cannot represent the sum, the knock waits as an ordinary one does.
            let until = now.checked_add(hold).unwrap_or(now + HOLD);
            self.held.push_back(HeldKnock { link, policy, id, until });
            KnockReply::Later
        }
    }

    /// The id is served from now on. Lets in the dialers that wait for it, and returns their links.
    pub(super) fn served(&mut self, id: ServiceId, now: Instant) -> Vec<LinkId> {
        let mut waited = Vec::new();
        self.held.retain(|held| {
            if held.id == id && held.until > now {
                waited.push((held.link, held.policy));
                return false;
            }
            true
        });
        waited.iter().for_each(|(link, policy)| self.expect(*link, *policy, id, now));
        waited.into_iter().map(|(link, _)| link).collect()
    }

    /// Removes and returns a knock that has waited for too long.
    pub(super) fn next_late(&mut self, now: Instant) -> Option<(LinkId, ServiceId)> {
        self.next_deadline().filter(|deadline| *deadline <= now)?;
        self.held.pop_front().map(|late| (late.link, late.id))
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.held.front().map(|held| held.until)
    }

    /// A stream has come in. Returns the id that it is for, or `None` if no stream was expected.
    pub(super) fn route(&mut self, now: Instant) -> Option<ServiceId> {
        while let Some(expected) = self.expected.pop_front() {
            if expected.is_awaited(now) {
                return expected.id;
            }
        }
        None
    }

    /// The link has ended. The last `unsent` admissions were never sent. The peer may or may not have received the others.
    pub(super) fn link_lost(&mut self, link: LinkId, unsent: usize, now: Instant) {
        self.held.retain(|held| held.link != link);
        for _ in 0..unsent {
            if let Some(unsent) =
                self.expected.iter().rposition(|expected| expected.link == link && expected.id.is_some())
            {
                self.expected.remove(unsent);
            }
        }
        for expected in self.expected.iter_mut().filter(|expected| expected.link == link) {
            expected.until.get_or_insert(now + STREAM_TIMEOUT);
        }
    }

    pub(super) fn new_session(&mut self) {
        self.expected.clear();
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn len(&self) -> usize {
        self.held.len() + self.expected.len()
    }

    fn expect(&mut self, link: LinkId, policy: KnockPolicy, id: ServiceId, now: Instant) {
        let until = match policy {
            KnockPolicy::Serial => Some(now + STREAM_TIMEOUT),
            KnockPolicy::Concurrent => None,
        };
        self.expected.push_back(ExpectedStream { link, id: Some(id), until });
    }
}

impl ExpectedStream {
    fn is_awaited(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

/// How long a knock waits for its id to be served. Dialers in Go wait 5 s: a reply a little before that gives them the
/// reason, and does not let in a dialer that has gone.
const HOLD: Duration = Duration::from_millis(4500);

/// How long a dialer that was let in may take to open its stream if it is not certain that it opens one. A dialer in Go
/// opens it at once or never. An expected stream that never comes would send all later streams to the wrong listeners.
const STREAM_TIMEOUT: Duration = Duration::from_secs(10);

/// Knocks that are held, and streams that are expected, at once. A dialer of rpcplugin has fewer in flight, and yamux
/// allows 256 streams in flight.
pub(super) const MAX_KNOCKS: usize = 512;
