//! Multiplexed mode: knocks, and the streams that follow them.
//!
//! The dialer knocks, the acceptor answers, and the dialer opens a stream. A stream says nothing of the id it is for:
//! the two sides agree on it by order alone. Hence the rule that everything here serves: *for each time the acceptor lets
//! somebody in, exactly one stream comes, in the same order.*

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use rpcplugin_core::ServiceId;
use rpcplugin_proto::Knock;

use super::{LinkId, shorten};

/// The side that is knocked at.
///
/// # Protocol
/// go-plugin `internal/grpcmux/grpc_server_muxer.go` and `grpc_client_muxer.go`. Differs: a Go acceptor never refuses, and
/// expects one stream at a time.
#[derive(Debug, Default)]
pub(super) struct Acceptor {
    /// Knocks for ids that are not served yet, the oldest first.
    held: VecDeque<Held>,
    /// For whom the next streams are.
    expected: VecDeque<Expected>,
}

#[derive(Debug)]
struct Held {
    link: LinkId,
    id: ServiceId,
    until: Instant,
}

#[derive(Debug)]
struct Expected {
    id: ServiceId,
    until: Instant,
}

/// What to do about a knock.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    LetIn,
    TurnAway,
    Later,
}

/// The side that knocks: one question at a time.
#[derive(Debug, Default)]
pub(super) struct Dialer {
    asked: Option<Asked>,
    /// Questions that were given up and may still be answered.
    given_up: VecDeque<ServiceId>,
    /// Streams that the peer expects and nobody wants.
    owed: usize,
}

#[derive(Debug)]
struct Asked {
    id: ServiceId,
    answer: Option<Admission>,
}

/// The answer to a knock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Admission {
    /// Whether this side is let in, or what the peer says against it.
    pub(crate) verdict: Result<(), String>,
    /// How many streams the peer expects, for nobody's use, before the one that was asked for.
    pub(crate) owed_before: usize,
}

impl Acceptor {
    /// A knock. The caller sends the answer *after* this returns, when the stream is already expected.
    pub(super) fn knocked(&mut self, link: LinkId, id: ServiceId, served: bool, now: Instant) -> Answer {
        if self.expected.len() + self.held.len() >= MAX_KNOCKS {
            Answer::TurnAway
        } else if served {
            self.expect(id, now);
            Answer::LetIn
        } else {
            self.held.push_back(Held { link, id, until: now + HOLD });
            Answer::Later
        }
    }

    /// An id is served from now on: lets in who waited for it, and returns the links on which they do.
    pub(super) fn served(&mut self, id: ServiceId, now: Instant) -> Vec<LinkId> {
        let mut links = Vec::new();
        self.held.retain(|held| {
            if held.id == id && held.until > now {
                links.push(held.link);
                return false;
            }
            true
        });
        links.iter().for_each(|_| self.expect(id, now));
        links
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
            if expected.until > now {
                return Some(expected.id);
            }
        }
        None
    }

    pub(super) fn new_session(&mut self) {
        self.expected.clear();
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn len(&self) -> usize {
        self.held.len() + self.expected.len()
    }

    fn expect(&mut self, id: ServiceId, now: Instant) {
        self.expected.push_back(Expected { id, until: now + EXPECTATION });
    }
}

impl Dialer {
    pub(super) fn ask(&mut self, id: ServiceId) {
        self.give_up();
        self.asked = Some(Asked { id, answer: None });
    }

    /// An answer. One that nobody asked for, or not for this id, is ignored.
    pub(super) fn answered(&mut self, id: ServiceId, knock: &Knock) {
        let verdict = verdict(knock);
        if let Some(asked) = &mut self.asked
            && asked.id == id
            && asked.answer.is_none()
        {
            asked.answer = Some(Admission { verdict, owed_before: std::mem::take(&mut self.owed) });
        } else if let Some(at) = self.given_up.iter().position(|given_up| *given_up == id) {
            self.given_up.remove(at);
            if verdict.is_ok() {
                self.owed += 1;
            }
        }
    }

    pub(super) fn take_answer(&mut self) -> Option<Admission> {
        let answer = self.asked.as_mut()?.answer.take()?;
        self.asked = None;
        Some(answer)
    }

    pub(super) fn give_up(&mut self) {
        match self.asked.take() {
            None => {}
            Some(Asked { answer: Some(admission), .. }) => {
                self.owed += admission.owed_before + usize::from(admission.verdict.is_ok());
            }
            Some(Asked { id, answer: None }) => {
                if self.given_up.len() >= MAX_KNOCKS {
                    self.given_up.pop_front();
                }
                self.given_up.push_back(id);
            }
        }
    }

    pub(super) fn owes(&self) -> bool {
        self.owed > 0
    }

    pub(super) fn take_owed(&mut self) -> usize {
        std::mem::take(&mut self.owed)
    }

    /// Answers that have not come will not come any more.
    pub(super) fn link_lost(&mut self) {
        self.given_up.clear();
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn len(&self) -> usize {
        self.given_up.len()
    }

    pub(super) fn new_session(&mut self) {
        *self = Self::default();
    }
}

/// Reads an answer as Go peers do: an empty error in an answer that repeats the knock lets in.
fn verdict(knock: &Knock) -> Result<(), String> {
    if !knock.error.is_empty() {
        Err(shorten(&knock.error, MAX_REASON).to_owned())
    } else if knock.knock && knock.ack {
        Ok(())
    } else {
        Err("neither yes nor no".to_owned())
    }
}

/// How long a knock waits for its id to be served. Dialers wait 5 s: an answer that comes a little earlier tells them why
/// they are turned away, and none is let in who has gone.
const HOLD: Duration = Duration::from_millis(4500);

/// How long a dialer that was let in may take to open its stream. Go opens it at once or never; an expectation that was
/// never met would turn all later streams over to the wrong listeners.
const EXPECTATION: Duration = Duration::from_secs(10);

/// Knocks that are held or let in and not yet followed by a stream; yamux allows as many streams to be opened at once.
pub(super) const MAX_KNOCKS: usize = 256;

/// Bytes of a refusal's text that are kept.
const MAX_REASON: usize = 300;
