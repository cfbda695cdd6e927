//! What the two brokers say to each other, and what follows from it: without I/O, tasks or a clock of its own.
//!
//! Messages come in with [`Router::receive`] and go out with [`Router::next_message`], each on a *link*: one stream of
//! messages between the brokers. Links come and go, while what is served stays. What this side serves is said on each;
//! who is asked, is asked on the newest, and answers go where the question came from.
//!
//! In direct mode messages carry [addresses]; multiplexed they are knocks, of which the [acceptor] and the [dialer] know.

mod acceptor;
mod addresses;
mod dialer;
#[cfg(any(test, fuzzing))]
#[cfg_attr(not(fuzzing), expect(unreachable_pub, reason = "only the fuzzer reaches it from outside"))]
pub(crate) mod events;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant},
};

use rpcplugin_core::{Endpoint, ServiceId};
use rpcplugin_proto::{ConnInfo, Knock};

use crate::{broker::HOST_SERVICES, settings::Side};

pub(crate) use self::addresses::{Claimed, FIRST_WELL_KNOWN};
pub(crate) use self::dialer::{Progress, Ticket};
use self::{
    acceptor::{Acceptor, Answer},
    addresses::Addresses,
    dialer::{Dialer, Wish},
};

/// The state of one side.
#[derive(Debug)]
pub(crate) struct Router {
    side: Side,
    mode: Mode,
    links: BTreeMap<LinkId, Link>,
    last_link: u64,
    /// The plugin has had another host than this, or this one before.
    has_had_a_host: bool,
    /// This side has said that it lets the peer call nothing of its own accord.
    offers_nothing: bool,
    /// How the last link ended, for as long as there is none.
    absence: Absence,
    served: HashMap<ServiceId, Served>,
    last_serving: u64,
}

#[derive(Debug)]
enum Mode {
    Direct(Addresses),
    Multiplexed { acceptor: Acceptor, dialer: Dialer },
}

/// One stream of messages between the brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LinkId(u64);

#[derive(Debug, Default)]
struct Link {
    /// Somebody takes messages from it.
    up: bool,
    manner: Manner,
    outbox: VecDeque<ConnInfo>,
    sent_any: bool,
    received_any: bool,
    /// The peer has said that it lets this side call nothing of its own accord.
    offers_nothing: bool,
    /// There is something new to send or to time: whoever writes must look.
    touched: bool,
}

/// How the peer knocks, and how it can be knocked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Manner {
    /// Once, and again when the stream for it is on its way or will never come: go-plugin, and whoever is not known.
    #[default]
    InTurn,
    /// As often as it likes. It answers every knock, and opens a stream each time that it is let in: rpcplugin.
    AtOnce,
}

/// How a link ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkEnd {
    /// It broke, or this side ended it.
    Lost,
    /// The peer ended it in order.
    ByPeer,
    /// The peer knows no broker.
    Unimplemented,
}

/// Whether the peer can be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// On this link.
    Up(LinkId),
    /// Not now.
    Down,
    /// Not before there is another link: the peer has no broker.
    NoBroker,
    /// Not before there is another link: the peer's broker is closed.
    PeerClosed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absence {
    Passing,
    NoBroker,
    PeerClosed,
}

/// One use of an id, so that its end cannot be taken for that of a later use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServingId(u64);

#[derive(Debug)]
struct Served {
    serving: ServingId,
    /// Where, in direct mode.
    endpoint: Option<Endpoint>,
}

impl Router {
    /// One side of a broker whose services have sockets of their own. Addresses that nobody dials are kept for
    /// `unclaimed`.
    pub(crate) fn direct(side: Side, unclaimed: Duration) -> Self {
        Self::new(side, Mode::Direct(Addresses::new(unclaimed)))
    }

    /// One side of a broker whose connections are streams of one session. Knocks for ids that are not served yet are
    /// held for about `patience`, if their dialers wait for as long.
    pub(crate) fn multiplexed(side: Side, patience: Duration) -> Self {
        Self::new(side, Mode::Multiplexed { acceptor: Acceptor::new(patience), dialer: Dialer::default() })
    }

    /// The host's side, of a plugin that has had another host.
    pub(crate) fn attached(mut self) -> Self {
        self.has_had_a_host = true;
        self
    }

    fn new(side: Side, mode: Mode) -> Self {
        Self {
            side,
            mode,
            links: BTreeMap::new(),
            last_link: 0,
            has_had_a_host: false,
            offers_nothing: false,
            absence: Absence::Passing,
            served: HashMap::new(),
            last_serving: 0,
        }
    }

    /// A new link, which begins with the addresses of all that is served: its peer may be another than the last. If the
    /// peer has had another host, it is asked for a sign of life.
    pub(crate) fn open_link(&mut self, now: Instant) -> LinkId {
        if self.links.is_empty() {
            // What the last peer said is of no use to this one.
            if let Mode::Direct(addresses) = &mut self.mode {
                addresses.clear();
            }
        }
        self.last_link += 1;
        let id = LinkId(self.last_link);
        let mut link = Link::default();
        if self.has_had_a_host {
            link.outbox.push_back(probe());
        }
        self.has_had_a_host = self.side == Side::Host;
        let mut served: Vec<_> = self.served.iter().collect();
        served.sort_unstable_by_key(|(id, _)| **id);
        link.outbox.extend(served.into_iter().filter_map(|(id, served)| announcement(*id, served)));
        self.links.insert(id, link);
        if self.links.len() > MAX_LINKS
            && let Some(oldest) = self.links.keys().next().copied()
        {
            self.close_link(oldest, LinkEnd::Lost, now);
        }
        id
    }

    /// What is known of the peer on this link. Until then it counts as one of another kind.
    pub(crate) fn meet(&mut self, link: LinkId, manner: Manner) {
        if let Some(link) = self.links.get_mut(&link) {
            link.manner = manner;
        }
        if manner == Manner::AtOnce {
            self.say_that_nothing_is_offered(link);
        }
        self.send_knocks();
    }

    /// This side lets the peer call nothing under [`HOST_SERVICES`], unless it serves that after all.
    pub(crate) fn offer_nothing(&mut self) {
        self.offers_nothing = true;
        let known = self.links.iter().filter(|(_, link)| link.manner == Manner::AtOnce);
        for link in known.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.say_that_nothing_is_offered(link);
        }
    }

    /// Where addresses are announced, that none will be has to be said. Peers of another kind do not ask.
    fn say_that_nothing_is_offered(&mut self, link: LinkId) {
        if self.refuses(HOST_SERVICES) && matches!(self.mode, Mode::Direct(_)) {
            self.send(link, refusal(HOST_SERVICES, NOTHING_OFFERED));
        }
    }

    /// Whether this side will not serve this id.
    fn refuses(&self, id: ServiceId) -> bool {
        self.offers_nothing && id == HOST_SERVICES && !self.served.contains_key(&id)
    }

    /// Direct mode: whether every peer that can be asked has said that it will not serve this id.
    pub(crate) fn is_refused(&self, id: ServiceId) -> bool {
        let mut up = self.links.values().filter(|link| link.up).peekable();
        id == HOST_SERVICES && up.peek().is_some() && up.all(|link| link.offers_nothing)
    }

    /// The link carries messages from now on.
    pub(crate) fn link_up(&mut self, link: LinkId) {
        if let Some(link) = self.links.get_mut(&link) {
            link.up = true;
            self.absence = Absence::Passing;
        }
        self.send_knocks();
    }

    /// Whether messages can still come and go on this link.
    pub(crate) fn has_link(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    /// The link has come to its end. Whoever asked on it will get no answer.
    pub(crate) fn close_link(&mut self, id: LinkId, end: LinkEnd, now: Instant) {
        let Some(link) = self.links.remove(&id) else { return };
        match &mut self.mode {
            // Of the last peer everything stays, until another comes.
            Mode::Direct(addresses) if !self.links.is_empty() => addresses.link_lost(id),
            Mode::Direct(_) => {}
            Mode::Multiplexed { acceptor, dialer } => {
                acceptor.link_lost(
                    id,
                    link.outbox.iter().filter(|message| is_admission(message)).count(),
                    now,
                );
                dialer.link_lost(id);
            }
        }
        self.send_knocks();
        self.absence = match end {
            LinkEnd::Unimplemented => Absence::NoBroker,
            // A Go plugin whose broker is closed accepts the stream all the same and ends it at the first message.
            LinkEnd::ByPeer if self.side == Side::Host && link.is_dead() => Absence::PeerClosed,
            LinkEnd::ByPeer | LinkEnd::Lost => Absence::Passing,
        };
    }

    /// Whether the peer can be spoken to, and if so, on which link.
    pub(crate) fn reach(&self) -> Reach {
        match self.links.iter().rev().find(|(_, link)| link.up) {
            Some((id, _)) => Reach::Up(*id),
            None => match self.absence {
                Absence::Passing => Reach::Down,
                Absence::NoBroker => Reach::NoBroker,
                Absence::PeerClosed => Reach::PeerClosed,
            },
        }
    }

    /// The next message to send on a link.
    pub(crate) fn next_message(&mut self, link: LinkId, now: Instant) -> Option<ConnInfo> {
        self.refuse_late_knocks(now);
        let link = self.links.get_mut(&link)?;
        link.touched = false;
        let message = link.outbox.pop_front()?;
        link.sent_any = true;
        Some(message)
    }

    /// When there will be something to send at the latest, should nothing else happen.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match &self.mode {
            Mode::Direct(_) => None,
            Mode::Multiplexed { acceptor, .. } => acceptor.next_deadline(),
        }
    }

    /// The links at which something has changed since this was last asked.
    pub(crate) fn touched(&mut self) -> impl Iterator<Item = LinkId> + '_ {
        self.links.iter_mut().filter_map(|(id, link)| std::mem::take(&mut link.touched).then_some(*id))
    }

    /// A message has come in on a link, when `arrived` streams have come that were not [routed](Self::route) yet. Whatever
    /// it says, it can only concern its own id.
    pub(crate) fn receive(&mut self, link: LinkId, message: ConnInfo, arrived: usize, now: Instant) {
        let Some(on) = self.links.get_mut(&link) else { return };
        on.received_any = true;
        let refuses = self.offers_nothing && !self.served.contains_key(&HOST_SERVICES);
        let from = (link, on.manner);
        let id = ServiceId(message.service_id);
        match (&mut self.mode, message.knock) {
            (Mode::Direct(addresses), None) => {
                on.offers_nothing &= id != HOST_SERVICES;
                addresses.announced(link, id, &message.network, &message.address, now);
            }
            (Mode::Direct(_), Some(knock)) if is_question(&knock) => {
                on.reply(refusal(id, "this side does not multiplex"));
            }
            (Mode::Multiplexed { .. }, Some(knock))
                if is_question(&knock) && refuses && id == HOST_SERVICES =>
            {
                on.reply(refusal(id, NOTHING_OFFERED));
            }
            (Mode::Multiplexed { acceptor, .. }, Some(knock)) if is_question(&knock) => {
                match acceptor.knocked(from, (id, self.served.contains_key(&id)), arrived, now) {
                    Answer::LetIn => on.reply(admission(id)),
                    Answer::TurnAway => on.reply(refusal(id, "too many knocks are waiting")),
                    // Somebody has to look at the clock.
                    Answer::Later => on.touched = true,
                }
            }
            (Mode::Multiplexed { dialer, .. }, Some(knock)) => {
                dialer.answered(from, id, &knock);
                self.send_knocks();
            }
            (Mode::Direct(_), Some(knock)) if id == HOST_SERVICES && knock.error == NOTHING_OFFERED => {
                on.offers_nothing = true;
            }
            // A pyvider plugin answers an address with a knock's answer. Nobody has asked.
            (Mode::Direct(_), Some(_)) => {}
            // An address is of no use here.
            (Mode::Multiplexed { .. }, None) => {}
        }
    }

    /// This side serves `id` from now on, in direct mode at `endpoint`. `None` if it does already.
    pub(crate) fn serve(
        &mut self,
        id: ServiceId,
        endpoint: Option<Endpoint>,
        now: Instant,
    ) -> Option<ServingId> {
        if self.served.contains_key(&id) {
            return None;
        }
        self.last_serving += 1;
        let serving = ServingId(self.last_serving);
        let served = Served { serving, endpoint };
        if let Some(message) = announcement(id, &served) {
            // Also where nobody takes messages yet: it was opened without knowing of this.
            for link in self.links.values_mut() {
                link.outbox.push_back(message.clone());
                link.touched = true;
            }
        }
        self.served.insert(id, served);
        if let Mode::Multiplexed { acceptor, .. } = &mut self.mode {
            for link in acceptor.served(id, now) {
                if let Some(link) = self.links.get_mut(&link) {
                    link.reply(admission(id));
                }
            }
        }
        Some(serving)
    }

    /// Whether this is what `id` is served by now.
    pub(crate) fn is_serving(&self, id: ServiceId, serving: ServingId) -> bool {
        self.served.get(&id).is_some_and(|served| served.serving == serving)
    }

    /// This use of `id` has ended.
    pub(crate) fn stop(&mut self, id: ServiceId, serving: ServingId) {
        if !self.is_serving(id, serving) {
            return;
        }
        if let Some(message) = self.served.remove(&id).and_then(|served| announcement(id, &served)) {
            // No use in telling the peer where nobody listens any more.
            for link in self.links.values_mut() {
                link.outbox.retain(|waiting| *waiting != message);
            }
        }
    }

    /// Direct mode: where to dial `id`, if the peer has said so.
    pub(crate) fn claim(&mut self, id: ServiceId, now: Instant) -> Option<Claimed> {
        match &mut self.mode {
            Mode::Direct(addresses) => addresses.claim(id, now),
            Mode::Multiplexed { .. } => None,
        }
    }

    /// Direct mode: nobody listens there any more.
    pub(crate) fn forget(&mut self, id: ServiceId, endpoint: &Endpoint) {
        if let Mode::Direct(addresses) = &mut self.mode {
            addresses.forget(id, endpoint);
        }
    }

    /// Multiplexed mode: somebody wants a stream to this id. The ticket is to be [given back](Self::give_back).
    pub(crate) fn want(&mut self, id: ServiceId) -> Option<Ticket> {
        self.wish(Wish::Service(id))
    }

    /// Multiplexed mode: somebody wants a stream without knocking. It comes when the peer expects none.
    pub(crate) fn want_main(&mut self) -> Option<Ticket> {
        self.wish(Wish::Main)
    }

    fn wish(&mut self, wish: Wish) -> Option<Ticket> {
        let Mode::Multiplexed { dialer, .. } = &mut self.mode else { return None };
        let ticket = dialer.want(wish);
        self.send_knocks();
        Some(ticket)
    }

    /// Multiplexed mode: how far the wish has got. `None` once the ticket was given back.
    pub(crate) fn progress(&self, ticket: Ticket) -> Option<&Progress> {
        match &self.mode {
            Mode::Direct(_) => None,
            Mode::Multiplexed { dialer, .. } => dialer.progress(ticket),
        }
    }

    /// Multiplexed mode: whose wishes have got further, or may have become vain, since this was last asked.
    pub(crate) fn news(&mut self) -> Vec<Ticket> {
        match &mut self.mode {
            Mode::Direct(_) => Vec::new(),
            Mode::Multiplexed { dialer, .. } => dialer.news(),
        }
    }

    /// Multiplexed mode: nobody waits with this ticket any more.
    pub(crate) fn give_back(&mut self, ticket: Ticket) {
        if let Mode::Multiplexed { dialer, .. } = &mut self.mode {
            dialer.give_back(ticket);
            self.send_knocks();
        }
    }

    /// Multiplexed mode: whose stream is the next to be opened, also if nobody waits for it any more, and whether it has to
    /// be on its way before it is [`opened`](Self::opened). Until then it stays the next.
    pub(crate) fn next_opening(&self) -> Option<(Ticket, bool)> {
        let manner = self.peer().map(|(_, manner)| manner).unwrap_or_default();
        match &self.mode {
            Mode::Direct(_) => None,
            Mode::Multiplexed { dialer, .. } => dialer.next_opening(manner),
        }
    }

    /// Multiplexed mode: the stream that was the next to be opened is. Returns whether somebody waits for it.
    pub(crate) fn opened(&mut self) -> bool {
        let Mode::Multiplexed { dialer, .. } = &mut self.mode else { return false };
        let wanted = dialer.opened();
        self.send_knocks();
        wanted
    }

    /// Multiplexed mode: the peer has opened a stream. For whom? `None` if it had not knocked.
    pub(crate) fn route(&mut self, now: Instant) -> Option<ServiceId> {
        match &mut self.mode {
            Mode::Direct(_) => None,
            Mode::Multiplexed { acceptor, .. } => acceptor.route(now),
        }
    }

    /// Multiplexed mode: another session has begun, whose streams nobody has asked for yet.
    pub(crate) fn new_session(&mut self) {
        if let Mode::Multiplexed { acceptor, dialer } = &mut self.mode {
            acceptor.new_session();
            dialer.new_session();
        }
        self.send_knocks();
    }

    fn refuse_late_knocks(&mut self, now: Instant) {
        let Mode::Multiplexed { acceptor, .. } = &mut self.mode else { return };
        while let Some((link, id)) = acceptor.next_late(now) {
            if let Some(link) = self.links.get_mut(&link) {
                link.reply(refusal(id, &format!("no listener for id {id}")));
            }
        }
    }

    /// Whom this side asks.
    fn peer(&self) -> Option<(LinkId, Manner)> {
        let Reach::Up(link) = self.reach() else { return None };
        self.links.get(&link).map(|on| (link, on.manner))
    }

    /// Knocks for all whose turn has come.
    fn send_knocks(&mut self) {
        let peer = self.peer();
        let Mode::Multiplexed { dialer, .. } = &mut self.mode else { return };
        let knocks: Vec<_> = std::iter::from_fn(|| dialer.next_knock(peer)).collect();
        for (link, id) in knocks {
            let knock = Knock { knock: true, ..Knock::default() };
            self.send(link, ConnInfo { service_id: id.0, knock: Some(knock), ..ConnInfo::default() });
        }
    }

    fn send(&mut self, link: LinkId, message: ConnInfo) {
        if let Some(link) = self.links.get_mut(&link) {
            link.outbox.push_back(message);
            link.touched = true;
        }
    }
}

impl Link {
    /// Whether the peer, which has ended this in order, has no broker any more. One of ours never has none.
    fn is_dead(&self) -> bool {
        self.manner == Manner::InTurn && self.sent_any && !self.received_any
    }

    /// Answers the peer, unless it asks without ever reading the answers.
    fn reply(&mut self, message: ConnInfo) {
        if self.outbox.len() < MAX_OUTBOX {
            self.outbox.push_back(message);
        }
        self.touched = true;
    }
}

/// The message that tells the peer where a service is.
fn announcement(id: ServiceId, served: &Served) -> Option<ConnInfo> {
    let endpoint = served.endpoint.as_ref()?;
    Some(ConnInfo {
        service_id: id.0,
        network: endpoint.network().to_owned(),
        address: endpoint.address(),
        knock: None,
    })
}

/// What every broker that lives passes over: an answer that nobody asked for. One that is dead ends the stream at once,
/// where it would never say anything to a host that only dials.
///
/// # Protocol
/// go-plugin `grpc_broker.go`, `StartStream`: it ends at the first message after the broker was closed. A live one keeps
/// this as an answer for the id 0, which nobody dials; pyvider's knows no such channel, and says so.
fn probe() -> ConnInfo {
    ConnInfo { knock: Some(Knock { ack: true, ..Knock::default() }), ..ConnInfo::default() }
}

fn is_question(knock: &Knock) -> bool {
    knock.knock && !knock.ack
}

fn admission(id: ServiceId) -> ConnInfo {
    refusal(id, "")
}

fn is_admission(message: &ConnInfo) -> bool {
    message.knock.as_ref().is_some_and(|knock| knock.knock && knock.ack && knock.error.is_empty())
}

/// # Protocol
/// go-plugin sets `ack` in a refusal too; what makes it one is the text.
fn refusal(id: ServiceId, error: &str) -> ConnInfo {
    let knock = Knock { knock: true, ack: true, error: error.to_owned() };
    ConnInfo { service_id: id.0, knock: Some(knock), ..ConnInfo::default() }
}

/// The start of what a peer sent, at most `length` bytes of it.
fn shorten(text: &str, length: usize) -> &str {
    let end = (0..=length.min(text.len())).rfind(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

/// How a host says that it offers nothing, in answer to a knock, or, where there are no knocks, to a peer that is rpcplugin
/// too.
///
/// # Protocol
/// A refusal as go-plugin writes it; it has no such words. A Go plugin is sent none that it has not asked for.
pub(crate) const NOTHING_OFFERED: &str = "the host lets its plugins call no services";

/// A host has one link. A plugin may have several hosts for a while, during a reattach; more are a fault.
const MAX_LINKS: usize = 8;

/// Answers that may wait for the peer to read them.
const MAX_OUTBOX: usize = 1024;

#[cfg(test)]
mod tests;
