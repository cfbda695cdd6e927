//! Multiplexed mode: the side that is knocked at.
//!
//! The dialer knocks, the acceptor answers, and the dialer opens a stream. A stream says nothing of the id it is for:
//! the two sides agree on it by order alone. Hence the rule that everything here and in the [dialer](super::dialer)
//! serves: *for each time the acceptor lets somebody in, exactly one stream comes, in the same order.*
//!
//! Go peers keep half of it: a Go dialer that has waited for too long opens no stream when it is let in after all. But it
//! knocks in turn, and the stream for one knock is on its way before the next knock. Hence the other rule: when a
//! dialer that knocks in turn knocks again, *streams that have not come by then never will.*

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use rpcplugin_core::ServiceId;

use super::{LinkId, Manner};

/// Who has knocked, and who was let in.
///
/// # Protocol
/// go-plugin `internal/grpcmux/grpc_server_muxer.go` and `grpc_client_muxer.go`. Differs: a Go acceptor never refuses, and
/// expects one stream at a time.
#[derive(Debug)]
pub(super) struct Acceptor {
    /// How long a knock of a dialer that knows how to wait is held.
    patience: Duration,
    /// Knocks for ids that are not served yet, the oldest first.
    held: VecDeque<Held>,
    /// For whom the next streams are.
    expected: VecDeque<Expected>,
}

#[derive(Debug)]
struct Held {
    link: LinkId,
    manner: Manner,
    id: ServiceId,
    until: Instant,
}

#[derive(Debug)]
struct Expected {
    link: LinkId,
    /// `None` for a stream that has come without a knock.
    id: Option<ServiceId>,
    /// `None` for as long as there is no doubt that the stream comes.
    until: Option<Instant>,
}

/// What to do about a knock.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    LetIn,
    TurnAway,
    Later,
}

impl Acceptor {
    /// An acceptor that holds knocks for ids that are not served yet for this long, if their dialers wait for as long.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, held: VecDeque::new(), expected: VecDeque::new() }
    }

    /// A knock, when `arrived` streams have come that were not [routed](Self::route) yet. The caller sends the answer
    /// *after* this returns, when the stream is already expected.
    pub(super) fn knocked(
        &mut self,
        (link, manner): (LinkId, Manner),
        (id, served): (ServiceId, bool),
        arrived: usize,
        now: Instant,
    ) -> Answer {
        self.expected.retain(|expected| expected.is_awaited(now));
        if manner == Manner::InTurn {
            let mut nth = 0;
            self.expected.retain(|expected| {
                nth += 1;
                // A dialer that asks for the same id again may take the late answer for one to its new knock.
                nth <= arrived || (expected.id == Some(id) && !served)
            });
            self.held.retain(|held| held.link != link);
        }
        // Streams that came before this knock are not for it, even if nobody has looked at them yet.
        self.expected.extend((self.expected.len()..arrived).map(|_| Expected {
            link,
            id: None,
            until: None,
        }));
        if self.expected.len() + self.held.len() >= MAX_KNOCKS {
            Answer::TurnAway
        } else if served {
            self.expect(link, manner, id, now);
            Answer::LetIn
        } else {
            let hold = match manner {
                Manner::InTurn => HOLD,
                // A little less, so that a dialer of the same patience hears why.
                Manner::AtOnce => HOLD.max(self.patience - self.patience / 10),
            };
            // A sum that no clock can show is as good as the end of an ordinary wait.
            let until = now.checked_add(hold).unwrap_or(now + HOLD);
            self.held.push_back(Held { link, manner, id, until });
            Answer::Later
        }
    }

    /// An id is served from now on: lets in who waited for it, and returns the links on which they do.
    pub(super) fn served(&mut self, id: ServiceId, now: Instant) -> Vec<LinkId> {
        let mut waited = Vec::new();
        self.held.retain(|held| {
            if held.id == id && held.until > now {
                waited.push((held.link, held.manner));
                return false;
            }
            true
        });
        waited.iter().for_each(|(link, manner)| self.expect(*link, *manner, id, now));
        waited.into_iter().map(|(link, _)| link).collect()
    }

    /// A knock that has waited for too long, if there is one.
    pub(super) fn next_late(&mut self, now: Instant) -> Option<(LinkId, ServiceId)> {
        self.next_deadline().filter(|deadline| *deadline <= now)?;
        self.held.pop_front().map(|late| (late.link, late.id))
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.held.front().map(|held| held.until)
    }

    /// A stream has come in: the id for which it is, or `None` if nobody had been let in.
    pub(super) fn route(&mut self, now: Instant) -> Option<ServiceId> {
        while let Some(expected) = self.expected.pop_front() {
            if expected.is_awaited(now) {
                return expected.id;
            }
        }
        None
    }

    /// The link has ended, before the last `unsent` of those who were let in could be told. Of the others, nobody knows
    /// who has heard it.
    pub(super) fn link_lost(&mut self, link: LinkId, unsent: usize, now: Instant) {
        self.held.retain(|held| held.link != link);
        for _ in 0..unsent {
            if let Some(untold) =
                self.expected.iter().rposition(|expected| expected.link == link && expected.id.is_some())
            {
                self.expected.remove(untold);
            }
        }
        for expected in self.expected.iter_mut().filter(|expected| expected.link == link) {
            expected.until.get_or_insert(now + EXPECTATION);
        }
    }

    pub(super) fn new_session(&mut self) {
        self.expected.clear();
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn len(&self) -> usize {
        self.held.len() + self.expected.len()
    }

    fn expect(&mut self, link: LinkId, manner: Manner, id: ServiceId, now: Instant) {
        let until = match manner {
            Manner::InTurn => Some(now + EXPECTATION),
            Manner::AtOnce => None,
        };
        self.expected.push_back(Expected { link, id: Some(id), until });
    }
}

impl Expected {
    fn is_awaited(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

/// How long a knock waits for its id to be served. Go dialers wait 5 s: an answer that comes a little earlier tells them why
/// they are turned away, and none is let in who has gone.
const HOLD: Duration = Duration::from_millis(4500);

/// How long a dialer that was let in may take to open its stream, where it is not certain that it will. Go opens it at
/// once or never; an expectation that was never met would turn all later streams over to the wrong listeners.
const EXPECTATION: Duration = Duration::from_secs(10);

/// Knocks that are held or let in and not yet followed by a stream. A dialer of ours asks for fewer at once, and yamux
/// allows 256 streams to be under way.
pub(super) const MAX_KNOCKS: usize = 512;
