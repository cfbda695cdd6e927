//! Everything that can happen to a router, in any order: what property tests and the fuzzer throw at it.

use std::time::{Duration, Instant};

use rpcplugin_core::{Endpoint, ServiceId, SocketPath};
use rpcplugin_proto::ConnInfo;

use crate::settings::Side;

use super::{
    LinkEnd, MAX_LINKS, MAX_OUTBOX, Manner, Mode, Router, acceptor::MAX_KNOCKS, addresses::MAX_ADDRESSES,
    dialer::MAX_ASKED,
};

/// Something that happens to a router. Links are counted from the newest, which is 0.
#[derive(Debug, Clone)]
pub enum Event {
    /// A stream between the brokers begins.
    OpenLink,
    /// Messages can be sent on it.
    LinkUp(usize),
    /// Its peer is one that knocks many times at once, or not.
    Meet(usize, bool),
    /// It ends: 0 because it broke, 1 because the peer ended it, else because the peer has no broker.
    CloseLink(usize, u8),
    /// The peer says something on it.
    Receive(usize, ConnInfo),
    /// The next message is sent on it.
    Send(usize),
    /// This side serves an id.
    Serve(u32),
    /// What was served last ends.
    Stop,
    /// Someone dials, directly.
    Claim(u32),
    /// Someone dials, multiplexed.
    Want(u32),
    /// Someone wants a main connection.
    WantMain,
    /// Whoever dialled last looks how far that has got.
    Look,
    /// Whoever dialled last waits no more.
    GiveBack,
    /// The next stream is opened.
    Opened,
    /// The peer opens a stream.
    Stream,
    /// Another multiplexed session begins.
    NewSession,
    /// So many milliseconds pass.
    TimePasses(u64),
}

/// Has all of it happen.
///
/// # Panics
/// When what the router keeps is not bounded, or it says something that it should not.
pub fn run(multiplexed: bool, events: impl IntoIterator<Item = Event>) {
    let mut router = if multiplexed {
        Router::multiplexed(Side::Host, UNCLAIMED)
    } else {
        Router::direct(Side::Host, UNCLAIMED)
    };
    let mut now = Instant::now();
    let (mut links, mut servings, mut tickets) = (Vec::new(), Vec::new(), Vec::new());
    for event in events {
        let nth = |n: usize| links.iter().rev().nth(n).copied();
        match event {
            Event::OpenLink => links.push(router.open_link(now)),
            Event::LinkUp(link) => nth(link).into_iter().for_each(|link| router.link_up(link)),
            Event::Meet(link, ours) => {
                let manner = if ours { Manner::AtOnce } else { Manner::InTurn };
                nth(link).into_iter().for_each(|link| router.meet(link, manner));
            }
            Event::CloseLink(link, end) => {
                let end = match end {
                    0 => LinkEnd::Lost,
                    1 => LinkEnd::ByPeer,
                    _ => LinkEnd::Unimplemented,
                };
                nth(link).into_iter().for_each(|link| router.close_link(link, end, now));
            }
            Event::Receive(link, message) => {
                nth(link).into_iter().for_each(|link| router.receive(link, message.clone(), 0, now));
            }
            Event::Send(link) => {
                let message = nth(link).and_then(|link| router.next_message(link, now));
                if let Some(ConnInfo { knock: None, address, .. }) = message {
                    assert_eq!(address, MINE, "only what this side serves is announced");
                }
            }
            Event::Serve(id) => {
                let endpoint = (!multiplexed).then(|| Endpoint::from(SocketPath::new(MINE).expect("a path")));
                let serving = router.serve(ServiceId(id), endpoint, now);
                servings.extend(serving.map(|serving| (ServiceId(id), serving)));
            }
            Event::Stop => servings.pop().into_iter().for_each(|(id, serving)| router.stop(id, serving)),
            Event::Claim(id) => {
                let claimed = router.claim(ServiceId(id), now);
                assert!(!multiplexed || claimed.is_none(), "multiplexed there are no addresses");
            }
            Event::Want(id) => tickets.extend(router.want(ServiceId(id))),
            Event::WantMain => tickets.extend(router.want_main()),
            Event::Look => {
                let progress = tickets.last().map(|ticket| router.progress(*ticket));
                assert!(progress != Some(None), "a ticket is good until it is given back");
            }
            Event::GiveBack => tickets.pop().into_iter().for_each(|ticket| router.give_back(ticket)),
            Event::Opened => {
                let next = router.next_opening();
                let wanted = router.opened();
                assert_eq!(wanted, next.is_some_and(|(next, _)| tickets.contains(&next)));
            }
            Event::Stream => {
                router.route(now);
            }
            Event::NewSession => router.new_session(),
            Event::TimePasses(millis) => now += Duration::from_millis(millis),
        }
        router.touched().count();
        let kept = MAX_KNOCKS + 2 * MAX_ASKED + MAX_ADDRESSES;
        let bound = kept + MAX_LINKS * (MAX_OUTBOX + servings.len() + MAX_ASKED);
        assert!(size(&router) <= bound, "{} things are kept", size(&router));
    }
}

/// How many things the router keeps.
pub(super) fn size(router: &Router) -> usize {
    let outboxes: usize = router.links.values().map(|link| link.outbox.len()).sum();
    outboxes
        + match &router.mode {
            Mode::Direct(addresses) => addresses.len(),
            Mode::Multiplexed { acceptor, dialer } => acceptor.len() + dialer.len(),
        }
}

const MINE: &str = "/mine";

const UNCLAIMED: Duration = Duration::from_secs(60);
