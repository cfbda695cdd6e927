//! The state of one side of a broker: messages and streams in, messages and decisions out. No I/O, no tasks, no clock.
//!
//! Messages come in with [`Router::receive`] and go out with [`Router::next_message`]. Each belongs to a *link*: one stream
//! of messages between the two brokers. Links come and go, while services stay. An announcement is sent on every link, a
//! knock on the newest one, and a reply on the link of its knock.
//!
//! In direct mode the messages carry [addresses]. In multiplexed mode they are knocks and replies, which the [acceptor] and
//! the [dialer] handle.

mod acceptor;
mod addresses;
mod dialer;
mod link;
mod message;

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use rpcplugin_core::{Endpoint, ServiceId};
use rpcplugin_proto::{ConnInfo, Knock};

use self::{
    acceptor::{Acceptor, KnockReply},
    addresses::Addresses,
    dialer::{Dialer, Purpose},
    link::Link,
    message::{admission, announcement, is_admission, is_request, knock, probe, refusal},
};
pub(crate) use self::{
    addresses::Claimed,
    dialer::{Progress, Ticket},
    link::{KnockPolicy, LinkEnd, LinkId, Reachability},
    message::NO_HOST_SERVICES,
};
use crate::{ids::HOST_SERVICES, settings::Role};

/// The state of one side.
#[derive(Debug)]
pub(crate) struct Router {
    role: Role,
    mode: Mode,
    links: BTreeMap<LinkId, Link>,
    last_link: u64,
    /// The plugin has had a host before: this one or another.
    had_host: bool,
    /// This side has said that it has no services for the peer.
    no_host_services: bool,
    /// Why there is no link.
    down: DownReason,
    served: HashMap<ServiceId, Served>,
    last_serving: u64,
}

#[derive(Debug)]
enum Mode {
    Direct(Addresses),
    Multiplexed { acceptor: Acceptor, dialer: Dialer },
}

/// How the last link ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DownReason {
    Temporary,
    NoBroker,
    PeerClosed,
}

/// One use of an id. The end of one use is not the end of a later use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServingId(u64);

#[derive(Debug)]
struct Served {
    serving: ServingId,
    /// Where the service listens, in direct mode.
    endpoint: Option<Endpoint>,
}

impl Router {
    /// A broker in direct mode. Addresses that are not dialled are kept for `unused_timeout`.
    pub(crate) fn direct(role: Role, unused_timeout: Duration) -> Self {
        Self::new(role, Mode::Direct(Addresses::new(unused_timeout)))
    }

    /// A broker in multiplexed mode. Knocks for ids that are not served yet are held for about `peer_timeout` if their
    /// dialers wait as long.
    pub(crate) fn multiplexed(role: Role, peer_timeout: Duration) -> Self {
        Self::new(
            role,
            Mode::Multiplexed { acceptor: Acceptor::new(peer_timeout), dialer: Dialer::default() },
        )
    }

    /// The broker of a host that attaches to a plugin which has had another host.
    pub(crate) fn attached(mut self) -> Self {
        self.had_host = true;
        self
    }

    fn new(role: Role, mode: Mode) -> Self {
        Self {
            role,
            mode,
            links: BTreeMap::new(),
            last_link: 0,
            had_host: false,
            no_host_services: false,
            down: DownReason::Temporary,
            served: HashMap::new(),
            last_serving: 0,
        }
    }

    /// Opens a link. It begins with the addresses of all services, since its peer may be a new one. If the plugin has had a
    /// host before, a [probe] comes first.
    pub(crate) fn open_link(&mut self, now: Instant) -> LinkId {
        if self.links.is_empty() {
            // The addresses of the last peer do not apply to this one.
            if let Mode::Direct(addresses) = &mut self.mode {
                addresses.clear();
            }
        }
        self.last_link += 1;
        let id = LinkId(self.last_link);
        let mut link = Link::default();
        if self.had_host {
            link.outbox.push_back(probe());
        }
        self.had_host = self.role == Role::Host;
        let mut served: Vec<_> = self.served.iter().collect();
        served.sort_unstable_by_key(|(id, _)| **id);
        link.outbox.extend(served.into_iter().filter_map(|(id, served)| served.announcement(*id)));
        self.links.insert(id, link);
        if self.links.len() > MAX_LINKS
            && let Some(oldest) = self.links.keys().next().copied()
        {
            self.close_link(oldest, LinkEnd::Lost, now);
        }
        id
    }

    /// Sets how the peer on this link knocks. The default is [`KnockPolicy::Serial`].
    pub(crate) fn set_policy(&mut self, link: LinkId, policy: KnockPolicy) {
        if let Some(link) = self.links.get_mut(&link) {
            link.policy = policy;
        }
        if policy == KnockPolicy::Concurrent {
            self.send_no_host_services(link);
        }
        self.send_knocks();
    }

    /// Refuses [`HOST_SERVICES`], unless this side serves them.
    pub(crate) fn refuse_host_services(&mut self) {
        self.no_host_services = true;
        let known = self.links.iter().filter(|(_, link)| link.policy == KnockPolicy::Concurrent);
        for link in known.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.send_no_host_services(link);
        }
    }

    /// Direct mode: says that no address will come. Only rpcplugin understands this message.
    fn send_no_host_services(&mut self, link: LinkId) {
        if self.refuses_host_services() && matches!(self.mode, Mode::Direct(_)) {
            self.send(link, refusal(HOST_SERVICES, NO_HOST_SERVICES));
        }
    }

    fn refuses_host_services(&self) -> bool {
        self.no_host_services && !self.served.contains_key(&HOST_SERVICES)
    }

    /// Direct mode: whether every reachable peer has said that it will not serve this id.
    pub(crate) fn is_refused(&self, id: ServiceId) -> bool {
        let mut up = self.links.values().filter(|link| link.up).peekable();
        id == HOST_SERVICES && up.peek().is_some() && up.all(|link| link.no_host_services)
    }

    /// The link carries messages from now on.
    pub(crate) fn link_up(&mut self, link: LinkId) {
        if let Some(link) = self.links.get_mut(&link) {
            link.up = true;
            self.down = DownReason::Temporary;
        }
        self.send_knocks();
    }

    /// Whether the link has not ended.
    pub(crate) fn has_link(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    /// The link has ended. Replies that have not come on it never will.
    pub(crate) fn close_link(&mut self, id: LinkId, end: LinkEnd, now: Instant) {
        let Some(link) = self.links.remove(&id) else { return };
        match &mut self.mode {
            // The addresses of the last peer stay until the next link.
            Mode::Direct(addresses) if !self.links.is_empty() => addresses.link_lost(id),
            Mode::Direct(_) => {}
            Mode::Multiplexed { acceptor, dialer } => {
                let unsent = link.outbox.iter().filter(|message| is_admission(message)).count();
                acceptor.link_lost(id, unsent, now);
                dialer.link_lost(id);
            }
        }
        self.send_knocks();
        self.down = match end {
            LinkEnd::Unimplemented => DownReason::NoBroker,
            // A plugin in Go whose broker is closed accepts the stream and ends it at the first message.
            LinkEnd::ByPeer if self.role == Role::Host && link.is_dead() => DownReason::PeerClosed,
            LinkEnd::ByPeer | LinkEnd::Lost => DownReason::Temporary,
        };
    }

    /// Whether messages can be sent to the peer, and on which link.
    pub(crate) fn reachability(&self) -> Reachability {
        match self.links.iter().rev().find(|(_, link)| link.up) {
            Some((id, _)) => Reachability::Up(*id),
            None => match self.down {
                DownReason::Temporary => Reachability::Down,
                DownReason::NoBroker => Reachability::NoBroker,
                DownReason::PeerClosed => Reachability::PeerClosed,
            },
        }
    }

    /// Returns the next message to send on a link.
    pub(crate) fn next_message(&mut self, link: LinkId, now: Instant) -> Option<ConnInfo> {
        self.refuse_late_knocks(now);
        let link = self.links.get_mut(&link)?;
        link.changed = false;
        let message = link.outbox.pop_front()?;
        link.sent_any = true;
        Some(message)
    }

    /// Returns when there will be a message to send even if no other event happens.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match &self.mode {
            Mode::Direct(_) => None,
            Mode::Multiplexed { acceptor, .. } => acceptor.next_deadline(),
        }
    }

    /// Returns the links that have changed since the last call.
    pub(crate) fn take_changed(&mut self) -> impl Iterator<Item = LinkId> + '_ {
        self.links.iter_mut().filter_map(|(id, link)| std::mem::take(&mut link.changed).then_some(*id))
    }

    /// Takes a message that has come in on a link. `arrived` streams have come that were not [routed](Self::route) yet. A
    /// message affects only the id that it names.
    pub(crate) fn receive(&mut self, link: LinkId, message: ConnInfo, arrived: usize, now: Instant) {
        let refuses_host_services = self.refuses_host_services();
        let Some(on) = self.links.get_mut(&link) else { return };
        on.received_any = true;
        let from = (link, on.policy);
        let id = ServiceId(message.service_id);
        match (&mut self.mode, message.knock) {
            (Mode::Direct(addresses), None) => {
                on.no_host_services &= id != HOST_SERVICES;
                addresses.announced(link, id, &message.network, &message.address, now);
            }
            (Mode::Direct(_), Some(knock)) if is_request(&knock) => {
                on.reply(refusal(id, "this side does not multiplex"));
            }
            (Mode::Multiplexed { .. }, Some(knock))
                if is_request(&knock) && refuses_host_services && id == HOST_SERVICES =>
            {
                on.reply(refusal(id, NO_HOST_SERVICES));
            }
            (Mode::Multiplexed { acceptor, .. }, Some(knock)) if is_request(&knock) => {
                match acceptor.knocked(from, (id, self.served.contains_key(&id)), arrived, now) {
                    KnockReply::Admit => on.reply(admission(id)),
                    KnockReply::Refuse => on.reply(refusal(id, "too many knocks are waiting")),
                    // There is a new deadline.
                    KnockReply::Later => on.changed = true,
                }
            }
            (Mode::Multiplexed { dialer, .. }, Some(knock)) => {
                dialer.replied(from, id, &knock);
                self.send_knocks();
            }
            (Mode::Direct(_), Some(knock)) if says_no_host_services(id, &knock) => {
                on.no_host_services = true;
            }
            // A plugin of pyvider sends a reply to an address. There was no knock.
            (Mode::Direct(_), Some(_)) => {}
            // Multiplexed mode has no use for an address.
            (Mode::Multiplexed { .. }, None) => {}
        }
    }

    /// This side serves `id` from now on, in direct mode at `endpoint`. Returns `None` if it already does.
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
        if let Some(message) = served.announcement(id) {
            // Links that are not up yet need it too: they were opened before this service.
            self.links.values_mut().for_each(|link| link.send(message.clone()));
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

    /// Whether `id` is served, and by this use of it.
    pub(crate) fn is_serving(&self, id: ServiceId, serving: ServingId) -> bool {
        self.served.get(&id).is_some_and(|served| served.serving == serving)
    }

    /// This use of `id` has ended.
    pub(crate) fn stop(&mut self, id: ServiceId, serving: ServingId) {
        if !self.is_serving(id, serving) {
            return;
        }
        if let Some(message) = self.served.remove(&id).and_then(|served| served.announcement(id)) {
            // An address at which nothing listens is not announced.
            for link in self.links.values_mut() {
                link.outbox.retain(|waiting| *waiting != message);
            }
        }
    }

    /// Direct mode: returns where to dial `id`, if the peer has announced it.
    pub(crate) fn claim(&mut self, id: ServiceId, now: Instant) -> Option<Claimed> {
        match &mut self.mode {
            Mode::Direct(addresses) => addresses.claim(id, now),
            Mode::Multiplexed { .. } => None,
        }
    }

    /// Direct mode: drops an address at which nothing listens.
    pub(crate) fn forget(&mut self, id: ServiceId, endpoint: &Endpoint) {
        if let Mode::Direct(addresses) = &mut self.mode {
            addresses.forget(id, endpoint);
        }
    }

    /// Multiplexed mode: requests a stream to this id. The caller must [cancel](Self::cancel) the ticket in the end.
    pub(crate) fn request_stream(&mut self, id: ServiceId) -> Option<Ticket> {
        self.request(Purpose::Service(id))
    }

    /// Multiplexed mode: requests a main connection. It is opened without a knock, while the peer expects no stream.
    pub(crate) fn request_main_stream(&mut self) -> Option<Ticket> {
        self.request(Purpose::Main)
    }

    fn request(&mut self, purpose: Purpose) -> Option<Ticket> {
        let Mode::Multiplexed { dialer, .. } = &mut self.mode else { return None };
        let ticket = dialer.request(purpose);
        self.send_knocks();
        Some(ticket)
    }

    /// Multiplexed mode: returns how far a request has got, or `None` if it was cancelled.
    pub(crate) fn progress(&self, ticket: Ticket) -> Option<&Progress> {
        match &self.mode {
            Mode::Direct(_) => None,
            Mode::Multiplexed { dialer, .. } => dialer.progress(ticket),
        }
    }

    /// Multiplexed mode: returns the requests that have got further, or may have become hopeless, since the last call.
    pub(crate) fn take_updates(&mut self) -> Vec<Ticket> {
        match &mut self.mode {
            Mode::Direct(_) => Vec::new(),
            Mode::Multiplexed { dialer, .. } => dialer.take_updates(),
        }
    }

    /// Multiplexed mode: the caller with this ticket no longer waits.
    pub(crate) fn cancel(&mut self, ticket: Ticket) {
        if let Mode::Multiplexed { dialer, .. } = &mut self.mode {
            dialer.cancel(ticket);
            self.send_knocks();
        }
    }

    /// Multiplexed mode: returns the ticket whose stream must be opened next, even if it was cancelled, and whether the
    /// stream must be on its way before [`stream_opened`](Self::stream_opened) is called. Until then the ticket stays next.
    pub(crate) fn next_opening(&self) -> Option<(Ticket, bool)> {
        let policy = self.peer().map(|(_, policy)| policy).unwrap_or_default();
        match &self.mode {
            Mode::Direct(_) => None,
            Mode::Multiplexed { dialer, .. } => dialer.next_opening(policy),
        }
    }

    /// Multiplexed mode: the stream of the [next](Self::next_opening) ticket is open. Returns whether the ticket is still
    /// active.
    pub(crate) fn stream_opened(&mut self) -> bool {
        let Mode::Multiplexed { dialer, .. } = &mut self.mode else { return false };
        let active = dialer.stream_opened();
        self.send_knocks();
        active
    }

    /// Multiplexed mode: the peer has opened a stream. Returns the id that it is for, or `None` if the peer had not knocked.
    pub(crate) fn route(&mut self, now: Instant) -> Option<ServiceId> {
        match &mut self.mode {
            Mode::Direct(_) => None,
            Mode::Multiplexed { acceptor, .. } => acceptor.route(now),
        }
    }

    /// Multiplexed mode: a new session has begun. Earlier knocks and admissions do not apply to it.
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

    /// The link on which this side knocks, and how it may knock there.
    fn peer(&self) -> Option<(LinkId, KnockPolicy)> {
        let Reachability::Up(link) = self.reachability() else { return None };
        self.links.get(&link).map(|on| (link, on.policy))
    }

    /// Sends the knocks whose turn has come.
    fn send_knocks(&mut self) {
        let peer = self.peer();
        let Mode::Multiplexed { dialer, .. } = &mut self.mode else { return };
        let knocks: Vec<_> = std::iter::from_fn(|| dialer.next_knock(peer)).collect();
        for (link, id) in knocks {
            self.send(link, knock(id));
        }
    }

    fn send(&mut self, link: LinkId, message: ConnInfo) {
        if let Some(link) = self.links.get_mut(&link) {
            link.send(message);
        }
    }
}

/// What tests and the fuzzer check.
#[cfg(any(test, feature = "fuzzing"))]
impl Router {
    /// How many things the router keeps.
    pub(crate) fn size(&self) -> usize {
        let outboxes: usize = self.links.values().map(|link| link.outbox.len()).sum();
        outboxes
            + match &self.mode {
                Mode::Direct(addresses) => addresses.len(),
                Mode::Multiplexed { acceptor, dialer } => acceptor.len() + dialer.len(),
            }
    }

    /// How many things a router may keep that has served so many services.
    pub(crate) fn max_size(served: usize) -> usize {
        let (knocks, in_flight) = (acceptor::MAX_KNOCKS, dialer::MAX_IN_FLIGHT);
        let kept = knocks + 2 * in_flight + addresses::MAX_ADDRESSES;
        kept + MAX_LINKS * (link::MAX_OUTBOX + served + in_flight)
    }
}

impl Served {
    fn announcement(&self, id: ServiceId) -> Option<ConnInfo> {
        self.endpoint.as_ref().map(|endpoint| announcement(id, endpoint))
    }
}

/// Whether the peer says that it is a host without services for its plugins.
fn says_no_host_services(id: ServiceId, knock: &Knock) -> bool {
    id == HOST_SERVICES && knock.error == NO_HOST_SERVICES
}

/// A host has one link. A plugin may have several hosts for a while, during a reattach. More are a fault.
const MAX_LINKS: usize = 8;

#[cfg(test)]
mod tests;
