//! The events of a router, in any order: the input of property tests and of the fuzzer.

use std::time::{Duration, Instant};

use rpcplugin_core::{Endpoint, ServiceId, SocketPath};
use rpcplugin_proto::ConnInfo;

use crate::{
    router::{KnockPolicy, LinkEnd, Router},
    settings::Role,
};

/// An event of a router. Links are counted from the newest, which is 0.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A link is opened.
    OpenLink,
    /// A link carries messages from now on.
    LinkUp(usize),
    /// The knocks of a link's peer are concurrent (`true`) or serial.
    SetPolicy(usize, bool),
    /// A link ends: 0 if it broke, 1 if the peer ended it, any other number if the peer has no broker.
    CloseLink(usize, u8),
    /// A message comes in on a link.
    Receive(usize, ConnInfo),
    /// The next message is sent on a link.
    Send(usize),
    /// This side serves an id.
    Serve(u32),
    /// The last service ends.
    Stop,
    /// This side dials an id in direct mode.
    Claim(u32),
    /// This side dials an id in multiplexed mode.
    RequestStream(u32),
    /// This side requests a main connection.
    RequestMainStream,
    /// The progress of the last request is read.
    Progress,
    /// The last request is cancelled.
    Cancel,
    /// The next stream is opened.
    StreamOpened,
    /// The peer opens a stream.
    Route,
    /// A new multiplexed session begins.
    NewSession,
    /// So many milliseconds pass.
    TimePasses(u64),
}

/// Gives the events to a router, and checks what the router keeps and answers.
///
/// # Panics
/// If what the router keeps is not bounded, or an answer of the router is wrong.
pub fn run(multiplexed: bool, events: impl IntoIterator<Item = Event>) {
    let mut router = if multiplexed {
        Router::multiplexed(Role::Host, MINUTE)
    } else {
        Router::direct(Role::Host, MINUTE)
    };
    let mut now = Instant::now();
    let (mut links, mut servings, mut tickets) = (Vec::new(), Vec::new(), Vec::new());
    for event in events {
        let nth = |n: usize| links.iter().rev().nth(n).copied();
        match event {
            Event::OpenLink => links.push(router.open_link(now)),
            Event::LinkUp(link) => nth(link).into_iter().for_each(|link| router.link_up(link)),
            Event::SetPolicy(link, concurrent) => {
                let policy = if concurrent { KnockPolicy::Concurrent } else { KnockPolicy::Serial };
                nth(link).into_iter().for_each(|link| router.set_policy(link, policy));
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
                    assert_eq!(address, ADDRESS, "only services of this side are announced");
                }
            }
            Event::Serve(id) => {
                let endpoint =
                    (!multiplexed).then(|| Endpoint::from(SocketPath::new(ADDRESS).expect("a path")));
                let serving = router.serve(ServiceId(id), endpoint, now);
                servings.extend(serving.map(|serving| (ServiceId(id), serving)));
            }
            Event::Stop => servings.pop().into_iter().for_each(|(id, serving)| router.stop(id, serving)),
            Event::Claim(id) => {
                let claimed = router.claim(ServiceId(id), now);
                assert!(!multiplexed || claimed.is_none(), "multiplexed mode has no addresses");
            }
            Event::RequestStream(id) => tickets.extend(router.request_stream(ServiceId(id))),
            Event::RequestMainStream => tickets.extend(router.request_main_stream()),
            Event::Progress => {
                let progress = tickets.last().map(|ticket| router.progress(*ticket));
                assert!(progress != Some(None), "a ticket is valid until it is cancelled");
            }
            Event::Cancel => tickets.pop().into_iter().for_each(|ticket| router.cancel(ticket)),
            Event::StreamOpened => {
                let next = router.next_opening();
                let active = router.stream_opened();
                assert_eq!(active, next.is_some_and(|(next, _)| tickets.contains(&next)));
            }
            Event::Route => {
                router.route(now);
            }
            Event::NewSession => router.new_session(),
            Event::TimePasses(millis) => now += Duration::from_millis(millis),
        }
        router.take_changed().count();
        let bound = Router::max_size(servings.len());
        assert!(router.size() <= bound, "{} things are kept", router.size());
    }
}

const ADDRESS: &str = "/mine";

const MINUTE: Duration = Duration::from_secs(60);
