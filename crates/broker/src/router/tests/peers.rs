//! Several peers at once, and peers of different kinds.

use super::*;

fn no_host_services(error: &str) -> ConnInfo {
    refusal(HOST_SERVICES, error)
}

#[test]
fn a_direct_host_without_services_says_so_to_peers_that_understand_it() {
    let now = Instant::now();
    for refuses_first in [true, false] {
        let (mut host, link) = linked(Router::direct(Role::Host, MINUTE));
        if refuses_first {
            host.refuse_host_services();
            assert_eq!(sent(&mut host, link, now), [], "the peer is unknown");
            host.set_policy(link, KnockPolicy::Serial);
            assert_eq!(sent(&mut host, link, now), []);
            host.set_policy(link, KnockPolicy::Concurrent);
        } else {
            host.set_policy(link, KnockPolicy::Concurrent);
            assert_eq!(sent(&mut host, link, now), [], "it may serve them");
            let serial = host.open_link(now);
            host.refuse_host_services();
            assert_eq!(sent(&mut host, serial, now).len(), 1, "the probe of a further link");
        }
        assert_eq!(sent(&mut host, link, now), [no_host_services(NO_HOST_SERVICES)]);
        host.serve(HOST_SERVICES, Some(unix("/a")), now).expect("free");
        assert_eq!(sent(&mut host, link, now), [address(HOST_SERVICES, "/a")]);
        host.refuse_host_services();
        assert_eq!(sent(&mut host, link, now), [], "they are served");
    }
}

#[test]
fn a_multiplexed_host_without_services_refuses_only_knocks_for_them() {
    let now = Instant::now();
    let (mut host, link) = linked(Router::multiplexed(Role::Host, MINUTE));
    host.set_policy(link, KnockPolicy::Concurrent);
    host.receive(link, knock(HOST_SERVICES), 0, now);
    host.refuse_host_services();
    assert_eq!(sent(&mut host, link, now), [], "a knock before the refusal is held");
    host.receive(link, knock(ID), 0, now);
    assert_eq!(sent(&mut host, link, now), []);
    host.receive(link, knock(HOST_SERVICES), 0, now);
    assert_eq!(sent(&mut host, link, now), [no_host_services(NO_HOST_SERVICES)]);
    // A reply is no knock.
    let asked = host.request_stream(HOST_SERVICES).expect("multiplexed");
    host.receive(link, admission(HOST_SERVICES), 0, now);
    assert_eq!(host.progress(asked), Some(&Progress::Admitted));
    assert_eq!(sent(&mut host, link, now), [knock(HOST_SERVICES)]);
    // They can be served later. All that knocked before are let in.
    host.serve(HOST_SERVICES, None, now).expect("free");
    assert_eq!(sent(&mut host, link, now), [admission(HOST_SERVICES)]);
    host.receive(link, knock(HOST_SERVICES), 0, now);
    assert_eq!(sent(&mut host, link, now), [admission(HOST_SERVICES)]);
}

#[test]
fn host_services_are_refused_when_every_reachable_host_says_so() {
    let ((mut plugin, first), now) = (direct(), Instant::now());
    assert!(!plugin.is_refused(HOST_SERVICES));
    plugin.receive(first, no_host_services("no listener"), 0, now);
    plugin.receive(first, refusal(ID, NO_HOST_SERVICES), 0, now);
    assert!(!plugin.is_refused(HOST_SERVICES), "another text, and another id");
    plugin.receive(first, no_host_services(NO_HOST_SERVICES), 0, now);
    assert!(plugin.is_refused(HOST_SERVICES) && !plugin.is_refused(ID));
    plugin.receive(first, address(ID, "/a"), 0, now);
    let second = plugin.open_link(now);
    assert!(plugin.is_refused(HOST_SERVICES), "the second is not reachable yet");
    plugin.link_up(second);
    assert!(!plugin.is_refused(HOST_SERVICES), "the second may serve them");
    plugin.receive(second, no_host_services(NO_HOST_SERVICES), 0, now);
    assert!(plugin.is_refused(HOST_SERVICES));
    plugin.receive(second, address(HOST_SERVICES, "/a"), 0, now);
    assert!(!plugin.is_refused(HOST_SERVICES));
    plugin.close_link(second, LinkEnd::Lost, now);
    assert!(plugin.is_refused(HOST_SERVICES));
    plugin.close_link(first, LinkEnd::Lost, now);
    assert!(!plugin.is_refused(HOST_SERVICES), "no host is reachable");
}

#[test]
fn the_end_of_one_link_loses_only_its_own_replies() {
    let ((mut router, first), now) = (concurrent(), Instant::now());
    let lost = router.request_stream(ID).expect("multiplexed");
    let second = router.open_link(now);
    router.link_up(second);
    let [kept, waiting] = [OTHER, ID].map(|id| router.request_stream(id).expect("multiplexed"));
    assert_eq!(sent(&mut router, first, now), [knock(ID)]);
    assert_eq!(sent(&mut router, second, now), [], "the peer of the second link is unknown");
    router.receive(first, refusal(ID, "no"), 0, now);
    assert_eq!(sent(&mut router, second, now), [knock(OTHER)]);
    assert_eq!(router.take_updates(), [lost, lost, kept]);
    assert_eq!(router.take_updates(), []);

    let third = router.open_link(now);
    router.close_link(first, LinkEnd::Lost, now);
    assert_eq!(router.progress(kept), Some(&Progress::Knocked));
    assert_eq!(router.take_updates(), [waiting], "it may not want to wait");
    router.close_link(second, LinkEnd::Lost, now);
    assert_eq!(router.progress(kept), Some(&Progress::Lost));
    assert_eq!(router.take_updates(), [kept, waiting]);
    router.receive(third, admission(OTHER), 0, now);
    assert_eq!(router.next_opening(), None, "the knock was for another link");
    router.link_up(third);
    assert_eq!(sent(&mut router, third, now), [knock(ID)]);
}

#[test]
fn streams_of_a_lost_link_are_expected_for_a_limited_time() {
    let ((mut router, lost), now) = (concurrent(), Instant::now());
    for id in [ID, OTHER] {
        router.serve(id, None, now).expect("free");
    }
    let other = router.open_link(now);
    router.set_policy(other, KnockPolicy::Concurrent);
    router.receive(lost, knock(ID), 0, now);
    router.receive(lost, knock(ID), 0, now);
    assert_eq!(sent(&mut router, lost, now), [admission(ID), admission(ID)]);
    // These messages are not sent, and only the first is an admission: the others are a knock of this side and a refusal.
    router.receive(lost, knock(ID), 0, now);
    router.receive(other, knock(OTHER), 0, now);
    router.request_stream(ID).expect("multiplexed");
    router.receive(lost, knock(ServiceId(3)), 0, now);
    let late = router.next_deadline().expect("a knock is held");
    assert_eq!(router.next_message(other, late), Some(admission(OTHER)));
    assert_eq!(router.size(), 4 + 3 + 1, "the streams, the messages, and the knock of this side");
    router.close_link(lost, LinkEnd::Lost, now);
    assert_eq!(router.size(), 3, "the streams of the admissions that were sent");
    assert_eq!(router.route(now + Duration::from_secs(9)), Some(ID));
    assert_eq!(router.route(now + Duration::from_secs(10)), Some(OTHER), "the other link is not lost");
    assert_eq!(router.route(now), None);
}

#[test]
fn a_new_session_begins_without_knocks_and_streams() {
    let ((mut router, link), now) = (concurrent(), Instant::now());
    router.serve(ID, None, now).expect("free");
    router.receive(link, knock(ID), 0, now);
    let [admitted, knocked] = [ID, OTHER].map(|id| router.request_stream(id).expect("multiplexed"));
    router.receive(link, admission(ID), 0, now);
    router.take_updates();
    router.new_session();
    assert_eq!(router.take_updates(), [knocked, admitted]);
    for ticket in [admitted, knocked] {
        assert_eq!(router.progress(ticket), Some(&Progress::Lost));
    }
    assert_eq!((router.next_opening(), router.route(now)), (None, None));
}

#[test]
fn a_stream_to_a_concurrent_peer_need_not_be_on_its_way_unless_it_is_a_main_connection() {
    let ((mut router, link), now) = (concurrent(), Instant::now());
    let first = router.request_stream(ID).expect("multiplexed");
    router.receive(link, admission(ID), 0, now);
    assert_eq!(router.next_opening(), Some((first, false)));
    sent(&mut router, link, now);
    // A further knock does not wait for the stream. A main connection does, because the peer expects that stream.
    router.request_stream(OTHER).expect("multiplexed");
    assert_eq!(sent(&mut router, link, now), [knock(OTHER)]);
    router.receive(link, refusal(OTHER, "no"), 0, now);
    let main = router.request_main_stream().expect("multiplexed");
    assert_eq!(router.progress(main), Some(&Progress::Waiting));
    router.request_stream(OTHER).expect("multiplexed");
    assert_eq!(sent(&mut router, link, now), [], "a main connection comes first");
    assert!(router.stream_opened());
    assert_eq!(router.next_opening(), Some((main, true)));
    assert_eq!(sent(&mut router, link, now), [], "the peer could take it for the stream of the knock");
    assert!(router.stream_opened());
    assert_eq!(sent(&mut router, link, now), [knock(OTHER)]);
}

#[test]
fn a_main_connection_to_a_serial_peer_waits_only_for_replies_that_are_awaited() {
    let ((mut router, link), now) = (multiplexed(), Instant::now());
    let first = router.request_stream(ID).expect("multiplexed");
    let main = router.request_main_stream().expect("multiplexed");
    assert_eq!(sent(&mut router, link, now), [knock(ID)]);
    assert_eq!(router.next_opening(), None);
    router.cancel(first);
    assert_eq!(router.next_opening(), Some((main, true)));
}

#[test]
fn a_cancelled_request_that_waits_is_not_knocked_for() {
    let ((mut router, link), now) = (multiplexed(), Instant::now());
    let [first, second, _third] =
        [1, 2, 3].map(ServiceId).map(|id| router.request_stream(id).expect("multiplexed"));
    router.cancel(second);
    router.cancel(first);
    assert_eq!(sent(&mut router, link, now), [knock(ID), knock(ServiceId(3))]);
}

#[test]
fn knocks_and_openings_are_limited_together() {
    let ((mut router, link), now) = (concurrent(), Instant::now());
    for id in (1..=300).map(ServiceId) {
        router.request_stream(id).expect("multiplexed");
    }
    assert_eq!(sent(&mut router, link, now).len(), MAX_IN_FLIGHT);
    for id in [ID, OTHER] {
        router.receive(link, admission(id), 0, now);
        assert_eq!(sent(&mut router, link, now), []);
    }
    assert_eq!(router.size(), MAX_IN_FLIGHT);
    assert!(router.stream_opened());
    assert_eq!(sent(&mut router, link, now).len(), 1);
}
