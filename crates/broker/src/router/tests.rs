mod peers;

use std::collections::VecDeque;

use proptest::prelude::*;
use rpcplugin_core::EndpointError;

use super::{acceptor::MAX_KNOCKS, addresses::MAX_ADDRESSES, dialer::MAX_IN_FLIGHT, link::MAX_OUTBOX, *};
use crate::{
    fuzzing::{self, Event},
    ids::FIRST_WELL_KNOWN,
};

const ID: ServiceId = ServiceId(1);
const OTHER: ServiceId = ServiceId(2);
const MINUTE: Duration = Duration::from_secs(60);

/// Opens a link and sets it up.
fn linked(mut router: Router) -> (Router, LinkId) {
    let link = router.open_link(Instant::now());
    router.link_up(link);
    (router, link)
}

fn direct() -> (Router, LinkId) {
    linked(Router::direct(Role::Plugin, MINUTE))
}

/// A multiplexed router, with a peer that knocks concurrently.
fn concurrent() -> (Router, LinkId) {
    let (mut router, link) = multiplexed();
    router.set_policy(link, KnockPolicy::Concurrent);
    (router, link)
}

fn multiplexed() -> (Router, LinkId) {
    linked(Router::multiplexed(Role::Plugin, Duration::from_secs(5)))
}

fn unix(path: &str) -> Endpoint {
    Endpoint::parse("unix", path).expect("a path")
}

fn address(id: ServiceId, path: &str) -> ConnInfo {
    ConnInfo { service_id: id.0, network: "unix".into(), address: path.into(), knock: None }
}

fn knock(id: ServiceId) -> ConnInfo {
    let knock = Knock { knock: true, ..Knock::default() };
    ConnInfo { service_id: id.0, knock: Some(knock), ..ConnInfo::default() }
}

fn sent(router: &mut Router, link: LinkId, now: Instant) -> Vec<ConnInfo> {
    std::iter::from_fn(|| router.next_message(link, now)).collect()
}

fn claimed(path: &str, dialled_before: bool) -> Option<Claimed> {
    Some(Claimed { endpoint: Ok(unix(path)), dialled_before })
}

#[test]
fn an_address_serves_many_dials_until_it_is_replaced_or_forgotten() {
    let ((mut router, link), now) = (direct(), Instant::now());
    assert_eq!(router.claim(ID, now), None);
    router.receive(link, address(ID, "/a"), 0, now);
    assert_eq!(router.claim(OTHER, now), None);
    assert_eq!(router.claim(ID, now), claimed("/a", false));
    assert_eq!(router.claim(ID, now + 1000 * MINUTE), claimed("/a", true));
    router.receive(link, address(ID, "/b"), 0, now);
    router.forget(ID, &unix("/a"));
    assert_eq!(router.claim(ID, now), claimed("/b", false), "only the old address is forgotten");
    router.forget(ID, &unix("/b"));
    assert_eq!(router.claim(ID, now), None);
}

#[test]
fn an_address_that_is_not_dialled_expires_unless_its_id_is_well_known() {
    let ((mut router, link), now) = (direct(), Instant::now());
    for id in [ID, OTHER, FIRST_WELL_KNOWN] {
        router.receive(link, address(id, "/a"), 0, now);
    }
    assert_eq!(router.claim(ID, now + MINUTE - Duration::from_millis(1)), claimed("/a", false));
    assert_eq!(router.claim(OTHER, now + MINUTE), None);
    assert_eq!(router.claim(FIRST_WELL_KNOWN, now + 1000 * MINUTE), claimed("/a", false));
}

#[test]
fn an_invalid_address_fails_only_its_own_dial() {
    let ((mut router, link), now) = (direct(), Instant::now());
    let pipe = ConnInfo { network: "pipe".into(), ..address(ID, "/a") };
    router.receive(link, pipe, 0, now);
    router.receive(link, address(OTHER, "/b"), 0, now);
    router.receive(link, address(ServiceId(3), &"x".repeat(100_000)), 0, now);
    let unknown = EndpointError::UnknownNetwork { network: "pipe".into() };
    assert_eq!(router.claim(ID, now), Some(Claimed { endpoint: Err(unknown), dialled_before: false }));
    assert_eq!(router.claim(ID, now), None, "the next dial waits for another announcement");
    assert_eq!(router.claim(OTHER, now), claimed("/b", false));
    let long = router.claim(ServiceId(3), now).expect("announced").endpoint.expect_err("too long");
    assert!(matches!(long, EndpointError::PathTooLong { path, .. } if path.len() <= 300));
}

#[test]
fn dialled_addresses_make_room_and_those_of_well_known_ids_do_not() {
    let ((mut router, link), now) = (direct(), Instant::now());
    router.receive(link, address(FIRST_WELL_KNOWN, "/known"), 0, now);
    // Each is dialled before the next is announced.
    for id in (1..=2000).map(ServiceId) {
        router.receive(link, address(id, "/a"), 0, now);
        assert_eq!(router.claim(id, now), claimed("/a", false));
        assert_eq!(router.claim(ID, now), claimed("/a", true), "an address in use stays");
    }
    // All are announced before the first is dialled.
    let together = || (3001..=3064).map(ServiceId);
    together().for_each(|id| router.receive(link, address(id, "/b"), 0, now));
    assert_eq!(router.size(), MAX_ADDRESSES);
    for id in together() {
        assert_eq!(router.claim(id, now), claimed("/b", false));
    }
    assert_eq!(router.claim(FIRST_WELL_KNOWN, now), claimed("/known", false));
}

#[test]
fn a_flood_of_addresses_drops_the_oldest() {
    let ((mut router, link), now) = (direct(), Instant::now());
    router.receive(link, address(FIRST_WELL_KNOWN, "/known"), 0, now);
    // The newest has the lowest id.
    for id in (2..3000).rev() {
        router.receive(link, address(ServiceId(id), "/flood"), 0, now);
        assert!(router.size() <= MAX_ADDRESSES);
    }
    assert_eq!(router.claim(FIRST_WELL_KNOWN, now), claimed("/known", false));
    assert_eq!(router.claim(ServiceId(2999), now), None);
    assert_eq!(router.claim(OTHER, now), claimed("/flood", false));
}

#[test]
fn the_address_that_was_dialled_the_longest_ago_makes_room() {
    let ((mut router, link), now) = (direct(), Instant::now());
    for id in [ID, OTHER] {
        router.receive(link, address(id, "/a"), 0, now);
    }
    // In the other order than that of the announcements.
    for id in [OTHER, ID] {
        assert_eq!(router.claim(id, now), claimed("/a", false));
    }
    let others = (3..).map(ServiceId).take(MAX_ADDRESSES - 1);
    others.for_each(|id| router.receive(link, address(id, "/b"), 0, now));
    assert_eq!(router.claim(OTHER, now), None);
    assert_eq!(router.claim(ID, now), claimed("/a", true));
}

#[test]
fn a_direct_broker_refuses_knocks_and_ignores_replies() {
    let ((mut router, link), now) = (direct(), Instant::now());
    router.receive(link, knock(ID), 0, now);
    assert_eq!(sent(&mut router, link, now), [refusal(ID, "this side does not multiplex")]);
    // The reply of pyvider to an address.
    let unasked = Knock { knock: false, ack: true, error: "Channel not found".into() };
    router.receive(link, ConnInfo { knock: Some(unasked), ..address(ID, "/a") }, 0, now);
    assert_eq!(sent(&mut router, link, now), []);
    assert_eq!(router.claim(ID, now), None);
}

#[test]
fn a_service_is_announced_on_this_link_and_on_the_next() {
    let ((mut router, link), now) = (direct(), Instant::now());
    let serving = router.serve(ID, Some(unix("/a")), now).expect("free");
    assert_eq!(router.serve(ID, Some(unix("/b")), now), None, "in use");
    assert_eq!(router.take_changed().collect::<Vec<_>>(), [link]);
    assert_eq!(sent(&mut router, link, now), [address(ID, "/a")]);
    router.close_link(link, LinkEnd::Lost, now);
    router.serve(OTHER, Some(unix("/b")), now).expect("free");

    let next = router.open_link(now);
    assert_eq!(sent(&mut router, next, now), [address(ID, "/a"), address(OTHER, "/b")]);
    router.stop(ID, serving);
    let again = router.serve(ID, Some(unix("/c")), now).expect("free again");
    router.stop(ID, serving);
    assert!(router.is_serving(ID, again) && !router.is_serving(ID, serving), "an earlier use has ended");
    router.stop(ID, again);
    let last = router.open_link(now);
    assert_eq!(sent(&mut router, last, now), [address(OTHER, "/b")]);
}

#[test]
fn a_service_that_stops_before_its_announcement_is_not_announced() {
    let ((mut router, link), now) = (direct(), Instant::now());
    let serving = router.serve(ID, Some(unix("/a")), now).expect("free");
    router.stop(ID, serving);
    assert_eq!(sent(&mut router, link, now), []);
}

#[test]
fn a_closed_broker_a_missing_broker_and_a_lost_link_are_distinguished() {
    let now = Instant::now();
    let reach_after = |side: Role, policy: KnockPolicy, sends: bool, receives: bool, end: LinkEnd| {
        let mut router = Router::direct(side, MINUTE);
        assert_eq!(router.reachability(), Reachability::Down);
        let link = router.open_link(now);
        assert_eq!(router.reachability(), Reachability::Down, "not up yet");
        router.link_up(link);
        router.set_policy(link, policy);
        assert_eq!(router.reachability(), Reachability::Up(link));
        if sends {
            router.serve(ID, Some(unix("/a")), now).expect("free");
            assert_eq!(sent(&mut router, link, now).len(), 1);
        }
        if receives {
            router.receive(link, address(OTHER, "/b"), 0, now);
        }
        router.close_link(link, end, now);
        router.reachability()
    };
    let (host, plugin, in_turn) = (Role::Host, Role::Plugin, KnockPolicy::Serial);
    assert_eq!(reach_after(host, in_turn, false, false, LinkEnd::Unimplemented), Reachability::NoBroker);
    assert_eq!(reach_after(host, in_turn, true, false, LinkEnd::ByPeer), Reachability::PeerClosed);
    assert_eq!(reach_after(host, in_turn, true, true, LinkEnd::ByPeer), Reachability::Down);
    assert_eq!(reach_after(host, in_turn, false, false, LinkEnd::ByPeer), Reachability::Down);
    assert_eq!(reach_after(host, in_turn, true, false, LinkEnd::Lost), Reachability::Down);
    // A plugin of rpcplugin that exits, and a host that leaves a plugin: another peer may connect.
    assert_eq!(reach_after(host, KnockPolicy::Concurrent, true, false, LinkEnd::ByPeer), Reachability::Down);
    assert_eq!(reach_after(plugin, in_turn, true, false, LinkEnd::ByPeer), Reachability::Down);
}

#[test]
fn the_addresses_of_the_last_peer_do_not_apply_to_the_next() {
    let ((mut router, link), now) = (direct(), Instant::now());
    router.receive(link, address(ID, "/a"), 0, now);
    let second = router.open_link(now);
    assert_eq!(router.claim(ID, now), claimed("/a", false), "the first peer is still connected");
    router.close_link(second, LinkEnd::Lost, now);
    router.close_link(link, LinkEnd::Lost, now);
    assert_eq!(router.claim(ID, now), claimed("/a", true), "the address outlives the link");
    router.open_link(now);
    assert_eq!(router.claim(ID, now), None);
}

#[test]
fn two_hosts_receive_the_same_announcements_and_have_their_own_addresses() {
    let ((mut router, first), now) = (direct(), Instant::now());
    let second = router.open_link(now);
    // The second is not up yet.
    router.serve(ID, Some(unix("/mine")), now).expect("free");
    for link in [first, second] {
        assert_eq!(sent(&mut router, link, now), [address(ID, "/mine")]);
    }
    router.link_up(second);

    router.receive(first, address(ID, "/first"), 0, now);
    router.receive(second, address(ID, "/second"), 0, now);
    router.receive(second, address(OTHER, "/second"), 0, now);
    router.receive(first, address(OTHER, "/first"), 0, now);
    assert_eq!(router.claim(ID, now), claimed("/second", false), "the latest announcement");
    router.forget(ID, &unix("/second"));
    assert_eq!(router.claim(ID, now), claimed("/first", false), "the other host's");
    router.close_link(first, LinkEnd::ByPeer, now);
    assert_eq!(router.claim(ID, now), None);
    assert_eq!(router.claim(OTHER, now), claimed("/second", false));
    assert_eq!(router.size(), 1);
}

#[test]
fn a_host_that_is_not_the_first_sends_a_probe() {
    // A reply to no request.
    let knock = Knock { knock: false, ack: true, error: String::new() };
    let (now, probe) = (Instant::now(), ConnInfo { knock: Some(knock), ..ConnInfo::default() });
    for (mut router, expected) in [
        (Router::direct(Role::Host, MINUTE), vec![]),
        (Router::direct(Role::Host, MINUTE).attached(), vec![probe.clone()]),
        (Router::multiplexed(Role::Host, MINUTE).attached(), vec![probe.clone()]),
    ] {
        let link = router.open_link(now);
        assert_eq!(sent(&mut router, link, now), expected);
        let again = router.open_link(now);
        assert_eq!(sent(&mut router, again, now), vec![probe.clone()], "not the first link");
    }
    let mut plugin = Router::direct(Role::Plugin, MINUTE);
    for _ in 0..2 {
        let link = plugin.open_link(now);
        assert_eq!(sent(&mut plugin, link, now), []);
        plugin.receive(link, probe.clone(), 0, now);
        assert_eq!((sent(&mut plugin, link, now), plugin.size()), (vec![], 0), "the probe is ignored");
    }
}

#[test]
fn the_oldest_links_are_closed() {
    let ((mut router, first), now) = (direct(), Instant::now());
    let newest = (0..100).map(|_| router.open_link(now)).last().expect("some");
    assert!(!router.has_link(first) && router.has_link(newest) && router.links.len() == MAX_LINKS);
    router.link_up(newest);
    router.serve(ID, Some(unix("/a")), now);
    assert_eq!(sent(&mut router, newest, now), [address(ID, "/a")]);
}

#[test]
fn a_stream_is_expected_before_the_reply_to_its_knock() {
    let ((mut router, link), now) = (multiplexed(), Instant::now());
    router.serve(ID, None, now).expect("free");
    assert_eq!(sent(&mut router, link, now), [], "there is no address to announce");
    router.receive(link, knock(ID), 0, now);
    assert_eq!(router.route(now), Some(ID));
    assert_eq!(sent(&mut router, link, now), [admission(ID)]);
    assert_eq!(router.route(now), None, "one stream for one knock");
}

#[test]
fn a_knock_waits_for_its_service_and_is_refused_before_its_dialer_times_out() {
    let ((mut router, link), now) = (concurrent(), Instant::now());
    router.receive(link, knock(ID), 0, now);
    router.receive(link, knock(OTHER), 0, now);
    assert_eq!(router.take_changed().count(), 1, "there is a new deadline");
    assert_eq!(sent(&mut router, link, now), []);
    router.serve(OTHER, None, now + Duration::from_secs(4)).expect("free");
    assert_eq!(sent(&mut router, link, now + Duration::from_secs(4)), [admission(OTHER)]);
    let late = router.next_deadline().expect("a knock waits");
    assert!(late > now + Duration::from_secs(4) && late < now + Duration::from_secs(5));
    assert_eq!(sent(&mut router, link, late), [refusal(ID, "no listener for id 1")]);
    let third = ServiceId(3);
    router.receive(link, knock(third), 0, now);
    for id in [ID, third] {
        router.serve(id, None, late).expect("free");
    }
    // The knock for the third was due too, but nothing was sent in between.
    let refused = refusal(third, "no listener for id 3");
    assert_eq!(sent(&mut router, link, late), [refused], "a refusal is final");
    assert_eq!((router.route(late), router.route(late)), (Some(OTHER), None));
}

#[test]
fn streams_stay_in_order_when_a_service_has_stopped() {
    let ((mut router, link), now) = (concurrent(), Instant::now());
    let serving = router.serve(ID, None, now).expect("free");
    router.serve(OTHER, None, now).expect("free");
    router.receive(link, knock(ID), 0, now);
    router.receive(link, knock(OTHER), 0, now);
    router.stop(ID, serving);
    assert_eq!((router.route(now), router.route(now)), (Some(ID), Some(OTHER)));
}

#[test]
fn a_stream_of_a_serial_dialer_is_expected_for_a_limited_time() {
    let ((mut router, link), now) = (multiplexed(), Instant::now());
    router.serve(ID, None, now).expect("free");
    let (limit, nearly) = (Duration::from_secs(10), Duration::from_millis(9_999));
    router.receive(link, knock(ID), 0, now);
    assert_eq!(router.route(now + nearly), Some(ID));
    router.receive(link, knock(ID), 0, now);
    assert_eq!(router.route(now + limit), None);
}

#[test]
fn a_stream_of_a_concurrent_dialer_is_expected_without_a_limit() {
    let ((mut router, link), now) = (concurrent(), Instant::now());
    router.serve(ID, None, now).expect("free");
    router.receive(link, knock(ID), 0, now);
    router.receive(link, knock(ID), 0, now);
    assert_eq!(sent(&mut router, link, now), [admission(ID), admission(ID)]);
    router.receive(link, knock(ID), 0, now);
    assert_eq!(router.route(now + MINUTE), Some(ID));
    // The peer may have received the second admission. The third was not sent.
    router.close_link(link, LinkEnd::Lost, now + MINUTE);
    assert_eq!(router.route(now + MINUTE), Some(ID));
    assert_eq!(router.route(now + MINUTE), None);
}

#[test]
fn a_serial_dialer_opens_no_stream_for_an_earlier_knock() {
    let ((mut router, link), now) = (multiplexed(), Instant::now());
    for id in [ID, OTHER] {
        router.serve(id, None, now).expect("free");
    }
    // It gave up before the reply.
    router.receive(link, knock(ID), 0, now);
    router.receive(link, knock(OTHER), 0, now);
    assert_eq!((router.route(now), router.route(now)), (Some(OTHER), None));
    // Its stream has come and was not routed yet.
    router.receive(link, knock(ID), 0, now);
    router.receive(link, knock(OTHER), 1, now);
    assert_eq!((router.route(now), router.route(now), router.route(now)), (Some(ID), Some(OTHER), None));
    // A knock that it has given up gets no reply.
    router.receive(link, knock(ServiceId(3)), 0, now);
    router.receive(link, knock(OTHER), 0, now);
    sent(&mut router, link, now);
    router.serve(ServiceId(3), None, now).expect("free");
    assert_eq!(sent(&mut router, link, now), []);
    assert_eq!((router.route(now), router.route(now)), (Some(OTHER), None));
}

#[test]
fn a_serial_dialer_that_knocks_again_may_take_the_reply_to_its_earlier_knock() {
    let now = Instant::now();
    // The id of the second knock, and whether the service has stopped by then.
    for (again, stopped, routed) in [
        (ID, false, [Some(ID), None]),
        (ID, true, [Some(ID), None]),
        (OTHER, false, [Some(OTHER), None]),
        (OTHER, true, [None, None]),
    ] {
        let (mut router, link) = multiplexed();
        let servings = [ID, OTHER].map(|id| (id, router.serve(id, None, now).expect("free")));
        router.receive(link, knock(ID), 0, now);
        if stopped {
            servings.into_iter().for_each(|(id, serving)| router.stop(id, serving));
        }
        router.receive(link, knock(again), 0, now);
        assert_eq!([router.route(now), router.route(now)], routed, "{again}, {stopped}");
    }
}

#[test]
fn a_knock_whose_link_is_lost_is_forgotten() {
    let ((mut router, link), now) = (multiplexed(), Instant::now());
    router.receive(link, knock(ID), 0, now);
    router.close_link(link, LinkEnd::Lost, now);
    router.serve(ID, None, now).expect("free");
    assert_eq!(router.route(now), None);
}

#[test]
fn a_knock_of_a_dialer_with_a_longer_timeout_is_held_for_longer() {
    let now = Instant::now();
    for (timeout, policy, held) in [
        (Duration::from_secs(20), KnockPolicy::Concurrent, Duration::from_secs(18)),
        (Duration::from_secs(20), KnockPolicy::Serial, Duration::from_millis(4500)),
        // Longer than the clock can represent.
        (Duration::MAX, KnockPolicy::Concurrent, Duration::from_millis(4500)),
    ] {
        let (mut router, link) = linked(Router::multiplexed(Role::Plugin, timeout));
        router.set_policy(link, policy);
        router.receive(link, knock(ID), 0, now);
        assert_eq!(router.next_deadline(), Some(now + held), "{timeout:?}, {policy:?}");
    }
}

#[test]
fn the_reply_decides_the_progress_of_a_request() {
    let ((mut router, link), now) = (multiplexed(), Instant::now());
    let mut ask = |answer: Knock| {
        let ticket = router.request_stream(ID).expect("multiplexed");
        assert_eq!(sent(&mut router, link, now), [knock(ID)]);
        router.receive(link, admission(OTHER), 0, now);
        assert_eq!(router.progress(ticket), Some(&Progress::Knocked), "not for this id");
        router.receive(link, ConnInfo { knock: Some(answer), ..knock(ID) }, 0, now);
        let progress = router.progress(ticket).cloned();
        if progress == Some(Progress::Admitted) {
            assert_eq!(router.next_opening(), Some((ticket, true)));
            assert!(router.stream_opened());
        }
        router.cancel(ticket);
        assert_eq!((router.progress(ticket), router.next_opening()), (None, None));
        progress.expect("it was not cancelled")
    };
    let refused = |why: &str| Progress::Refused(why.to_owned());
    assert_eq!(ask(Knock { knock: true, ack: true, error: String::new() }), Progress::Admitted);
    assert_eq!(ask(Knock { knock: true, ack: true, error: "no".into() }), refused("no"));
    for ack in [false, true] {
        let answer = Knock { knock: false, ack, error: String::new() };
        assert_eq!(ask(answer), refused("neither yes nor no"), "{ack}");
    }
    let long = ask(Knock { knock: true, ack: true, error: "ä".repeat(1000) });
    assert_eq!(long, refused(&"ä".repeat(150)));
    let asked = router.request_stream(ID).expect("multiplexed");
    router.close_link(link, LinkEnd::Lost, now);
    assert_eq!(router.progress(asked), Some(&Progress::Lost));
}

#[test]
fn a_stream_is_opened_even_if_the_request_was_cancelled() {
    let ((mut router, link), now) = (multiplexed(), Instant::now());
    let given_up = router.request_stream(ID).expect("multiplexed");
    router.cancel(given_up);
    let wanted = router.request_stream(OTHER).expect("multiplexed");
    assert_eq!(sent(&mut router, link, now), [knock(ID), knock(OTHER)]);
    router.receive(link, admission(ID), 0, now);
    router.receive(link, admission(OTHER), 0, now);
    assert_eq!((router.next_opening(), router.stream_opened()), (Some((given_up, true)), false));
    assert_eq!((router.next_opening(), router.stream_opened()), (Some((wanted, true)), true));

    // Admitted, but cancelled before the stream was open.
    let given_up = router.request_stream(ID).expect("multiplexed");
    router.receive(link, admission(ID), 0, now);
    router.cancel(given_up);
    assert!(!router.stream_opened());

    // No stream follows a late refusal, or an admission without a knock.
    let given_up = router.request_stream(ID).expect("multiplexed");
    router.cancel(given_up);
    router.receive(link, refusal(ID, "no"), 0, now);
    router.receive(link, admission(ID), 0, now);
    assert_eq!(router.next_opening(), None);
}

#[test]
fn the_single_reply_of_a_go_peer_goes_to_the_active_request() {
    let ((mut router, link), now) = (multiplexed(), Instant::now());
    let given_up = router.request_stream(ID).expect("multiplexed");
    router.cancel(given_up);
    let wanted = router.request_stream(ID).expect("multiplexed");
    router.receive(link, admission(ID), 0, now);
    assert_eq!(router.next_opening(), Some((wanted, true)));
}

#[test]
fn the_number_of_concurrent_knocks_depends_on_the_peer() {
    let ((mut router, link), now) = (multiplexed(), Instant::now());
    let tickets: Vec<_> =
        (1..=300).map(|id| router.request_stream(ServiceId(id)).expect("multiplexed")).collect();
    assert_eq!(sent(&mut router, link, now), [knock(ID)], "one, because the peer is unknown");
    router.set_policy(link, KnockPolicy::Concurrent);
    assert_eq!(sent(&mut router, link, now).len(), MAX_IN_FLIGHT - 1);

    // A main connection comes before the other requests, when no knock is in flight.
    let main = router.request_main_stream().expect("multiplexed");
    for id in (1..).take(MAX_IN_FLIGHT) {
        assert_eq!(router.next_opening(), None);
        router.receive(link, refusal(ServiceId(id), "no"), 0, now);
        assert_eq!(sent(&mut router, link, now), []);
    }
    assert_eq!(router.next_opening(), Some((main, true)));
    assert!(router.stream_opened());
    assert_eq!(sent(&mut router, link, now).len(), MAX_IN_FLIGHT);
    assert_eq!(router.progress(tickets[0]), Some(&Progress::Refused("no".to_owned())));
}

#[test]
fn a_flood_of_knocks_is_refused() {
    let ((mut router, link), now) = (concurrent(), Instant::now());
    router.serve(ID, None, now).expect("free");
    for id in 1..10_000 {
        router.receive(link, knock(ServiceId(id % 4)), 0, now);
    }
    assert_eq!(router.size(), MAX_KNOCKS + MAX_OUTBOX);
    // Its own requests are kept too.
    router.request_stream(ID).expect("multiplexed");
    assert_eq!(router.size(), MAX_KNOCKS + MAX_OUTBOX + 2, "the knock, and its message");
}

fn message() -> impl Strategy<Value = ConnInfo> {
    let knock = (any::<bool>(), any::<bool>(), prop_oneof![Just(String::new()), ".{0,20}"])
        .prop_map(|(knock, ack, error)| Knock { knock, ack, error });
    (0..6_u32, "unix|tcp|.{0,3}", "/a|:80|.{0,20}", proptest::option::of(knock))
        .prop_map(|(service_id, network, address, knock)| ConnInfo { service_id, network, address, knock })
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::OpenLink),
        (0..4_usize).prop_map(Event::LinkUp),
        (0..4_usize, 0..3_u8).prop_map(|(link, end)| Event::CloseLink(link, end)),
        (0..4_usize, message()).prop_map(|(link, message)| Event::Receive(link, message)),
        (0..4_usize).prop_map(Event::Send),
        (0..6_u32).prop_map(Event::Serve),
        Just(Event::Stop),
        (0..6_u32).prop_map(Event::Claim),
        (0..6_u32).prop_map(Event::RequestStream),
        Just(Event::RequestMainStream),
        Just(Event::Progress),
        Just(Event::Cancel),
        Just(Event::StreamOpened),
        (0..4_usize, any::<bool>()).prop_map(|(link, concurrent)| Event::SetPolicy(link, concurrent)),
        Just(Event::Route),
        Just(Event::NewSession),
        (0..20_000_u64).prop_map(Event::TimePasses),
    ]
}

proptest! {
    #[test]
    fn the_invariants_hold_after_any_events(multiplexed: bool, events in prop::collection::vec(event(), 0..200)) {
        fuzzing::run(multiplexed, events);
    }
}

/// A dialer and an acceptor, with the messages and streams between them.
struct Pair {
    dialer: Router,
    acceptor: Router,
    link: LinkId,
    /// Knocks and streams, in the order on the wire.
    to_acceptor: VecDeque<Sent>,
    to_dialer: VecDeque<ConnInfo>,
    /// Streams that have come to the acceptor and were not routed yet.
    arrived: VecDeque<Option<Want>>,
    asking: Vec<(Ticket, Want)>,
    servings: Vec<(ServiceId, ServingId)>,
}

/// The purpose of a stream: a service, or `None` for a main connection.
type Want = Option<ServiceId>;

#[derive(Debug)]
enum Sent {
    Knock(ConnInfo),
    /// With its purpose, or `None` if its request was cancelled.
    Stream(Option<Want>),
}

#[derive(Debug, Clone)]
enum Step {
    Ask(u32),
    AskMain,
    GiveUp(usize),
    Open,
    Serve(u32),
    Stop,
    ToAcceptor,
    ToDialer,
    Route,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..4_u32).prop_map(Step::Ask),
        1 => Just(Step::AskMain),
        1 => any::<usize>().prop_map(Step::GiveUp),
        3 => Just(Step::Open),
        2 => (1..4_u32).prop_map(Step::Serve),
        1 => Just(Step::Stop),
        3 => Just(Step::ToAcceptor),
        3 => Just(Step::ToDialer),
        3 => Just(Step::Route),
    ]
}

impl Pair {
    fn new(policy: KnockPolicy) -> Self {
        let ((mut dialer, link), (mut acceptor, same)) = (multiplexed(), multiplexed());
        assert_eq!(link, same);
        dialer.set_policy(link, policy);
        acceptor.set_policy(link, policy);
        Self {
            dialer,
            acceptor,
            link,
            to_acceptor: VecDeque::new(),
            to_dialer: VecDeque::new(),
            arrived: VecDeque::new(),
            asking: Vec::new(),
            servings: Vec::new(),
        }
    }

    fn write(&mut self, now: Instant) {
        self.to_acceptor.extend(sent(&mut self.dialer, self.link, now).into_iter().map(Sent::Knock));
        self.to_dialer.extend(sent(&mut self.acceptor, self.link, now));
    }

    fn step(&mut self, step: &Step, now: Instant) -> Result<(), TestCaseError> {
        match *step {
            Step::Ask(id) => {
                let id = ServiceId(id);
                self.asking.push((self.dialer.request_stream(id).expect("multiplexed"), Some(id)));
            }
            Step::AskMain => {
                self.asking.push((self.dialer.request_main_stream().expect("multiplexed"), None))
            }
            Step::GiveUp(which) => {
                if !self.asking.is_empty() {
                    let (ticket, _) = self.asking.remove(which % self.asking.len());
                    self.dialer.cancel(ticket);
                }
            }
            Step::Open => {
                if let Some((next, _)) = self.dialer.next_opening() {
                    let wanted =
                        self.asking.iter().find(|(ticket, _)| *ticket == next).map(|(_, want)| *want);
                    self.to_acceptor.push_back(Sent::Stream(wanted));
                    prop_assert_eq!(self.dialer.stream_opened(), wanted.is_some());
                    self.asking.retain(|(ticket, _)| *ticket != next);
                    self.dialer.cancel(next);
                }
            }
            Step::Serve(id) => {
                let id = ServiceId(id);
                self.servings.extend(self.acceptor.serve(id, None, now).map(|serving| (id, serving)));
            }
            Step::Stop => {
                if let Some((id, serving)) = self.servings.pop() {
                    self.acceptor.stop(id, serving);
                }
            }
            Step::ToAcceptor => match self.to_acceptor.pop_front() {
                Some(Sent::Knock(knock)) => {
                    self.acceptor.receive(self.link, knock, self.arrived.len(), now);
                }
                Some(Sent::Stream(wanted)) => self.arrived.push_back(wanted),
                None => {}
            },
            Step::ToDialer => {
                if let Some(message) = self.to_dialer.pop_front() {
                    self.dialer.receive(self.link, message, 0, now);
                }
            }
            Step::Route => {
                if let Some(wanted) = self.arrived.pop_front() {
                    let taken = self.acceptor.route(now);
                    prop_assert!(wanted.is_none_or(|want| want == taken), "{:?} went to {:?}", wanted, taken);
                }
            }
        }
        self.write(now);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn every_stream_reaches_its_service(steps in prop::collection::vec(step(), 0..200)) {
        let now = Instant::now();
        let mut pair = Pair::new(KnockPolicy::Concurrent);
        for step in &steps {
            pair.step(step, now)?;
        }
        // In the end, knocks for unserved ids are refused, all messages arrive, and all streams are opened.
        let mut late = now;
        for _ in 0..2 * steps.len() + 2 {
            late += MINUTE;
            for step in [Step::ToAcceptor, Step::ToDialer, Step::Open, Step::Route] {
                pair.step(&step, late)?;
            }
        }
        let refused = |(ticket, _): &(Ticket, Want)| {
            matches!(pair.dialer.progress(*ticket), Some(Progress::Refused(_)))
        };
        prop_assert!(pair.asking.iter().all(refused));
        prop_assert_eq!(pair.acceptor.route(late), None, "no further stream is expected");
    }
}

/// A step of a dialer in Go: it knocks serially, and opens no stream after it has given up.
#[derive(Debug, Clone)]
enum GoStep {
    Dial(u32),
    GiveUp,
    Open,
    ToAcceptor,
    ToDialer,
    Route,
    Serve(u32),
    Stop,
}

fn go_step() -> impl Strategy<Value = GoStep> {
    prop_oneof![
        3 => (1..4_u32).prop_map(GoStep::Dial),
        1 => Just(GoStep::GiveUp),
        3 => Just(GoStep::Open),
        4 => Just(GoStep::ToAcceptor),
        4 => Just(GoStep::ToDialer),
        3 => Just(GoStep::Route),
        2 => (1..4_u32).prop_map(GoStep::Serve),
        1 => Just(GoStep::Stop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn no_stream_of_a_go_dialer_reaches_the_service_of_a_knock_that_it_gave_up(
        steps in prop::collection::vec(go_step(), 0..200)
    ) {
        let ((mut acceptor, link), now) = (multiplexed(), Instant::now());
        let (mut to_acceptor, mut to_dialer, mut arrived) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        // The dial that holds the mutex, and whether the peer has admitted it.
        let mut dialing: Option<(ServiceId, bool)> = None;
        let mut servings = Vec::new();
        for step in steps {
            match step {
                GoStep::Dial(id) if dialing.is_none() => {
                    // It drops late replies.
                    to_dialer.retain(|late| *late != ServiceId(id));
                    dialing = Some((ServiceId(id), false));
                    to_acceptor.push_back(Sent::Knock(knock(ServiceId(id))));
                }
                GoStep::Dial(_) => {}
                GoStep::GiveUp => dialing = None,
                GoStep::Open => {
                    if let Some((id, true)) = dialing {
                        to_acceptor.push_back(Sent::Stream(Some(Some(id))));
                        dialing = None;
                    }
                }
                GoStep::ToAcceptor => match to_acceptor.pop_front() {
                    Some(Sent::Knock(knock)) => acceptor.receive(link, knock, arrived.len(), now),
                    Some(Sent::Stream(wanted)) => arrived.push_back(wanted),
                    None => {}
                },
                GoStep::ToDialer => {
                    let answer = to_dialer.pop_front();
                    dialing = dialing.map(|(id, admitted)| (id, admitted || answer == Some(id)));
                }
                GoStep::Route => {
                    if let Some(wanted) = arrived.pop_front() {
                        // If it takes a late reply for the reply to its new knock, the stream may not be expected.
                        let taken = acceptor.route(now);
                        prop_assert!(taken.is_none() || wanted == Some(taken), "{:?} went to {:?}", wanted, taken);
                    }
                }
                GoStep::Serve(id) => {
                    let id = ServiceId(id);
                    servings.extend(acceptor.serve(id, None, now).map(|serving| (id, serving)));
                }
                GoStep::Stop => {
                    if let Some((id, serving)) = servings.pop() {
                        acceptor.stop(id, serving);
                    }
                }
            }
            to_dialer.extend(sent(&mut acceptor, link, now).into_iter().map(|answer| ServiceId(answer.service_id)));
        }
    }
}
