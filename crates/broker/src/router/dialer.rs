//! Multiplexed mode: the side that knocks, and opens a stream for each time that it is let in.
//!
//! Whoever wants a stream takes a [`Ticket`]. Knocks are sent in the order of the tickets, as many at once as the peer
//! can bear; streams are opened in the order in which the peer lets in, also for those who have given up meanwhile.

use std::collections::{HashMap, VecDeque};

use rpcplugin_core::ServiceId;
use rpcplugin_proto::Knock;

use super::{LinkId, Manner, shorten};

/// Who wants streams, and how far they have got.
///
/// # Protocol
/// go-plugin `grpc_broker.go` `knock` and `muxDial`. Differs: an answer that comes too late is followed by a stream too,
/// which is closed at once, so that the peer's next stream does not go to the wrong listener.
#[derive(Debug, Default)]
pub(super) struct Dialer {
    last_ticket: u64,
    /// Those who still wait. All that is said of another ticket is said of somebody who has given up.
    wanted: HashMap<Ticket, Progress>,
    /// Who has not asked yet, in turn.
    waiting: VecDeque<(Ticket, Wish)>,
    /// Who has knocked, in turn.
    asked: VecDeque<Asked>,
    /// For whom streams are to be opened, in turn. The first may be on its way.
    admitted: VecDeque<(Ticket, Wish)>,
    /// Those of whom there is something new.
    news: Vec<Ticket>,
}

/// Somebody who wants a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ticket(u64);

/// What a stream is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// A connection to a service.
    Service(ServiceId),
    /// A main connection, for which nobody knocks. It would be taken for a service's if it came when the peer expects one.
    Main,
}

/// How far somebody has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Its turn to knock has not come.
    Waiting,
    /// The peer has not answered.
    Asked,
    /// The stream is being opened.
    Admitted,
    /// The peer says no, and this.
    Refused(String),
    /// No answer can come any more.
    Lost,
}

#[derive(Debug)]
struct Asked {
    ticket: Ticket,
    id: ServiceId,
    link: LinkId,
}

impl Dialer {
    pub(super) fn want(&mut self, wish: Wish) -> Ticket {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        self.wanted.insert(ticket, Progress::Waiting);
        match wish {
            Wish::Service(_) => self.waiting.push_back((ticket, wish)),
            // All others depend on it.
            Wish::Main => self.waiting.push_front((ticket, wish)),
        }
        ticket
    }

    /// Whose turn has come to knock: the caller sends it. To be asked whenever anything has changed.
    pub(super) fn next_knock(&mut self, peer: Option<(LinkId, Manner)>) -> Option<(LinkId, ServiceId)> {
        loop {
            let (ticket, wish) = *self.waiting.front()?;
            match wish {
                Wish::Main if self.is_quiet(peer) => {
                    self.waiting.pop_front();
                    self.admit(ticket, wish);
                }
                Wish::Main => return None,
                Wish::Service(id) => {
                    let (link, _) = peer.filter(|(_, manner)| self.may_knock(*manner))?;
                    self.waiting.pop_front();
                    if self.asked.len() >= MAX_ASKED {
                        // By somebody who has given up.
                        self.asked.pop_front();
                    }
                    self.asked.push_back(Asked { ticket, id, link });
                    self.note(ticket, Progress::Asked);
                    return Some((link, id));
                }
            }
        }
    }

    /// An answer. One that nobody asked for, or not for this id, is ignored.
    pub(super) fn answered(&mut self, (link, manner): (LinkId, Manner), id: ServiceId, knock: &Knock) {
        let of_this = |asked: &Asked| asked.link == link && asked.id == id;
        let first = || self.asked.iter().position(of_this);
        let at = match manner {
            Manner::AtOnce => first(),
            // Go may answer one knock of several.
            Manner::InTurn => {
                let wanted = |asked: &Asked| of_this(asked) && self.wanted.contains_key(&asked.ticket);
                self.asked.iter().position(wanted).or_else(first)
            }
        };
        let Some(Asked { ticket, .. }) = at.and_then(|at| self.asked.remove(at)) else { return };
        match verdict(knock) {
            Ok(()) => self.admit(ticket, Wish::Service(id)),
            Err(reason) => self.note(ticket, Progress::Refused(reason)),
        }
    }

    /// `None` for a ticket that was given back.
    pub(super) fn progress(&self, ticket: Ticket) -> Option<&Progress> {
        self.wanted.get(&ticket)
    }

    /// Nobody waits any more.
    pub(super) fn give_back(&mut self, ticket: Ticket) {
        self.wanted.remove(&ticket);
        self.waiting.retain(|(waiting, _)| *waiting != ticket);
    }

    /// Of whom there has been something new since this was last asked.
    pub(super) fn news(&mut self) -> Vec<Ticket> {
        std::mem::take(&mut self.news)
    }

    /// For whom the next stream is to be opened, and whether nothing may be said to the peer before it is on its way.
    pub(super) fn next_opening(&self, manner: Manner) -> Option<(Ticket, bool)> {
        let (ticket, wish) = *self.admitted.front()?;
        Some((ticket, manner == Manner::InTurn || wish == Wish::Main))
    }

    /// It is open. Returns whether somebody still wants it.
    pub(super) fn opened(&mut self) -> bool {
        self.admitted.pop_front().is_some_and(|(ticket, _)| self.wanted.contains_key(&ticket))
    }

    /// Answers that have not come on this link will not come any more.
    pub(super) fn link_lost(&mut self, link: LinkId) {
        let lost: Vec<_> =
            self.asked.iter().filter(|asked| asked.link == link).map(|asked| asked.ticket).collect();
        self.asked.retain(|asked| asked.link != link);
        lost.into_iter().for_each(|ticket| self.note(ticket, Progress::Lost));
        // Those who have not asked may not want to wait for another.
        self.news.extend(self.waiting.iter().map(|(ticket, _)| *ticket));
    }

    pub(super) fn new_session(&mut self) {
        let asked = std::mem::take(&mut self.asked).into_iter().map(|asked| asked.ticket);
        let admitted = std::mem::take(&mut self.admitted).into_iter().map(|(ticket, _)| ticket);
        asked.chain(admitted).for_each(|ticket| self.note(ticket, Progress::Lost));
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn len(&self) -> usize {
        self.asked.len() + self.admitted.len()
    }

    /// Whether the peer expects no stream, and will not before it is asked again.
    fn is_quiet(&self, peer: Option<(LinkId, Manner)>) -> bool {
        let settled = match peer {
            // It answers whatever it is asked.
            Some((_, Manner::AtOnce)) => self.asked.is_empty(),
            Some((_, Manner::InTurn)) | None => !self.anybody_asks(),
        };
        settled && self.admitted.is_empty()
    }

    fn may_knock(&self, manner: Manner) -> bool {
        match manner {
            Manner::InTurn => self.admitted.is_empty() && !self.anybody_asks(),
            Manner::AtOnce => {
                let opens_main = self.admitted.iter().any(|(_, wish)| *wish == Wish::Main);
                !opens_main && self.asked.len() + self.admitted.len() < MAX_ASKED
            }
        }
    }

    fn anybody_asks(&self) -> bool {
        self.asked.iter().any(|asked| self.wanted.contains_key(&asked.ticket))
    }

    fn admit(&mut self, ticket: Ticket, wish: Wish) {
        self.admitted.push_back((ticket, wish));
        self.note(ticket, Progress::Admitted);
    }

    fn note(&mut self, ticket: Ticket, progress: Progress) {
        if let Some(noted) = self.wanted.get_mut(&ticket) {
            *noted = progress;
            self.news.push(ticket);
        }
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

/// Knocks that may be under way at once. Together with the streams that yamux allows to be under way they are fewer than
/// an acceptor of ours bears.
pub(super) const MAX_ASKED: usize = 128;

/// Bytes of a refusal's text that are kept.
const MAX_REASON: usize = 300;
