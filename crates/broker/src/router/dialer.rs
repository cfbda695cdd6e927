//! Multiplexed mode: the side that knocks, and opens a stream each time that it is let in.
//!
//! Each caller that needs a stream gets a [`Ticket`]. Knocks are sent in the order of the tickets, as many at once as the
//! peer supports. Streams are opened in the order in which the peer lets in, including those of cancelled tickets.

use std::collections::{HashMap, VecDeque};

use rpcplugin_core::ServiceId;
use rpcplugin_proto::Knock;

use super::{
    link::{KnockPolicy, LinkId},
    message::verdict,
};

/// The requests for streams, and how far each has got.
///
/// # Protocol
/// go-plugin `grpc_broker.go` `knock` and `muxDial`. Differs: a stream follows a late admission too and is closed at once,
/// so that the peer's next stream does not go to the wrong listener.
#[derive(Debug, Default)]
pub(super) struct Dialer {
    last_ticket: u64,
    /// The tickets that were not cancelled.
    active: HashMap<Ticket, Progress>,
    /// Requests that wait for their turn, the next first.
    waiting: VecDeque<(Ticket, Purpose)>,
    /// Requests whose knock was sent, in the order of the knocks.
    knocked: VecDeque<SentKnock>,
    /// Requests whose stream is to be opened, the next first. The first may be in the making.
    admitted: VecDeque<(Ticket, Purpose)>,
    /// Tickets whose progress has changed.
    updates: Vec<Ticket>,
}

/// One request for a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ticket(u64);

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A connection to a service.
    Service(ServiceId),
    /// A main connection. It is opened without a knock, and only while the peer expects no stream: otherwise the peer would
    /// take it for a connection to a service.
    Main,
}

/// How far a request has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It waits for its turn to knock.
    Waiting,
    /// It waits for the peer's reply.
    Knocked,
    /// The stream is being opened.
    Admitted,
    /// The peer has refused it, for this reason.
    Refused(String),
    /// A reply can no longer come.
    Lost,
}

#[derive(Debug)]
struct SentKnock {
    ticket: Ticket,
    id: ServiceId,
    link: LinkId,
}

impl Dialer {
    pub(super) fn request(&mut self, purpose: Purpose) -> Ticket {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        self.active.insert(ticket, Progress::Waiting);
        match purpose {
            Purpose::Service(_) => self.waiting.push_back((ticket, purpose)),
            // All other connections depend on a main connection.
            Purpose::Main => self.waiting.push_front((ticket, purpose)),
        }
        ticket
    }

    /// Returns the next knock to send, if it may be sent now. To be called after every change.
    pub(super) fn next_knock(&mut self, peer: Option<(LinkId, KnockPolicy)>) -> Option<(LinkId, ServiceId)> {
        loop {
            let (ticket, purpose) = *self.waiting.front()?;
            match purpose {
                Purpose::Main if self.is_quiet(peer) => {
                    self.waiting.pop_front();
                    self.admit(ticket, purpose);
                }
                Purpose::Main => return None,
                Purpose::Service(id) => {
                    let (link, _) = peer.filter(|(_, policy)| self.may_knock(*policy))?;
                    self.waiting.pop_front();
                    if self.knocked.len() >= MAX_IN_FLIGHT {
                        // Its ticket was cancelled.
                        self.knocked.pop_front();
                    }
                    self.knocked.push_back(SentKnock { ticket, id, link });
                    self.note(ticket, Progress::Knocked);
                    return Some((link, id));
                }
            }
        }
    }

    /// Takes a reply. Ignores it if there is no knock for this id on this link.
    pub(super) fn replied(&mut self, (link, policy): (LinkId, KnockPolicy), id: ServiceId, knock: &Knock) {
        let matches = |sent: &SentKnock| sent.link == link && sent.id == id;
        let first = || self.knocked.iter().position(matches);
        let at = match policy {
            KnockPolicy::Concurrent => first(),
            // Go may reply to one knock of several.
            KnockPolicy::Serial => {
                let active = |sent: &SentKnock| matches(sent) && self.active.contains_key(&sent.ticket);
                self.knocked.iter().position(active).or_else(first)
            }
        };
        let Some(SentKnock { ticket, .. }) = at.and_then(|at| self.knocked.remove(at)) else { return };
        match verdict(knock) {
            Ok(()) => self.admit(ticket, Purpose::Service(id)),
            Err(reason) => self.note(ticket, Progress::Refused(reason)),
        }
    }

    /// Returns the progress of a ticket, or `None` if the ticket was cancelled.
    pub(super) fn progress(&self, ticket: Ticket) -> Option<&Progress> {
        self.active.get(&ticket)
    }

    pub(super) fn cancel(&mut self, ticket: Ticket) {
        self.active.remove(&ticket);
        self.waiting.retain(|(waiting, _)| *waiting != ticket);
    }

    /// Returns the tickets whose progress has changed since the last call.
    pub(super) fn take_updates(&mut self) -> Vec<Ticket> {
        std::mem::take(&mut self.updates)
    }

    /// Returns the ticket whose stream is to be opened next, and whether the stream must be on its way before any other
    /// message is sent.
    pub(super) fn next_opening(&self, policy: KnockPolicy) -> Option<(Ticket, bool)> {
        let (ticket, purpose) = *self.admitted.front()?;
        Some((ticket, policy == KnockPolicy::Serial || purpose == Purpose::Main))
    }

    /// The next stream is open. Returns whether its ticket is still active.
    pub(super) fn stream_opened(&mut self) -> bool {
        self.admitted.pop_front().is_some_and(|(ticket, _)| self.active.contains_key(&ticket))
    }

    /// The link has ended, and with it the replies that have not come.
    pub(super) fn link_lost(&mut self, link: LinkId) {
        let lost: Vec<_> =
            self.knocked.iter().filter(|sent| sent.link == link).map(|sent| sent.ticket).collect();
        self.knocked.retain(|sent| sent.link != link);
        lost.into_iter().for_each(|ticket| self.note(ticket, Progress::Lost));
        // Callers whose turn has not come may not want to wait for another link.
        self.updates.extend(self.waiting.iter().map(|(ticket, _)| *ticket));
    }

    pub(super) fn new_session(&mut self) {
        let knocked = std::mem::take(&mut self.knocked).into_iter().map(|sent| sent.ticket);
        let admitted = std::mem::take(&mut self.admitted).into_iter().map(|(ticket, _)| ticket);
        knocked.chain(admitted).for_each(|ticket| self.note(ticket, Progress::Lost));
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn len(&self) -> usize {
        self.knocked.len() + self.admitted.len()
    }

    /// Whether the peer expects no stream, and will not expect one before the next knock.
    fn is_quiet(&self, peer: Option<(LinkId, KnockPolicy)>) -> bool {
        let settled = match peer {
            // It replies to every knock.
            Some((_, KnockPolicy::Concurrent)) => self.knocked.is_empty(),
            Some((_, KnockPolicy::Serial)) | None => !self.awaits_reply(),
        };
        settled && self.admitted.is_empty()
    }

    fn may_knock(&self, policy: KnockPolicy) -> bool {
        match policy {
            KnockPolicy::Serial => self.admitted.is_empty() && !self.awaits_reply(),
            KnockPolicy::Concurrent => {
                let opens_main = self.admitted.iter().any(|(_, purpose)| *purpose == Purpose::Main);
                !opens_main && self.knocked.len() + self.admitted.len() < MAX_IN_FLIGHT
            }
        }
    }

    /// Whether an active ticket waits for a reply.
    fn awaits_reply(&self) -> bool {
        self.knocked.iter().any(|sent| self.active.contains_key(&sent.ticket))
    }

    fn admit(&mut self, ticket: Ticket, purpose: Purpose) {
        self.admitted.push_back((ticket, purpose));
        self.note(ticket, Progress::Admitted);
    }

    fn note(&mut self, ticket: Ticket, progress: Progress) {
        if let Some(noted) = self.active.get_mut(&ticket) {
            *noted = progress;
            self.updates.push(ticket);
        }
    }
}

/// Knocks and openings in flight at once. Together with the streams that yamux allows in flight they are fewer than an
/// acceptor of rpcplugin takes.
pub(super) const MAX_IN_FLIGHT: usize = 128;
