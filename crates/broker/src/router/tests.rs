use std::collections::VecDeque;

use proptest::prelude::*;
use rpcplugin_core::EndpointError;

use super::{
    addresses::MAX_ADDRESSES,
    events::{self, Event, size},
    knocks::MAX_KNOCKS,
    *,
};

const ID: ServiceId = ServiceId(1);
const OTHER: ServiceId = ServiceId(2);
const MINUTE: Duration = Duration::from_secs(60);

/// A router with a link that is up.
fn linked(mut router: Router) -> (Router, LinkId) {
    let link = router.open_link();
    router.link_up(link);
    (router, link)
}

fn direct() -> (Router, LinkId) {
    linked(Router::direct(MINUTE))
}

fn multiplexed() -> (Router, LinkId) {
    linked(Router::multiplexed())
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

fn claimed(path: &str, again: bool) -> Option<Claimed> {
    Some(Claimed { endpoint: Ok(unix(path)), again })
}

#[test]
fn an_address_serves_many_dials_until_it_is_replaced_or_dead() {
    let ((mut router, link), now) = (direct(), Instant::now());
    assert_eq!(router.claim(ID, now), None);
    router.receive(link, address(ID, "/a"), now);
    assert_eq!(router.claim(OTHER, now), None);
    assert_eq!(router.claim(ID, now), claimed("/a", false));
    assert_eq!(router.claim(ID, now + 1000 * MINUTE), claimed("/a", true));
    router.receive(link, address(ID, "/b"), now);
    router.forget(ID, &unix("/a"));
    assert_eq!(router.claim(ID, now), claimed("/b", false), "the old address is not the new one");
    router.forget(ID, &unix("/b"));
    assert_eq!(router.claim(ID, now), None);
}

#[test]
fn an_address_that_nobody_dials_expires_unless_it_is_well_known() {
    let ((mut router, link), now) = (direct(), Instant::now());
    for id in [ID, OTHER, FIRST_WELL_KNOWN] {
        router.receive(link, address(id, "/a"), now);
    }
    assert_eq!(router.claim(ID, now + MINUTE - Duration::from_millis(1)), claimed("/a", false));
    assert_eq!(router.claim(OTHER, now + MINUTE), None);
    assert_eq!(router.claim(FIRST_WELL_KNOWN, now + 1000 * MINUTE), claimed("/a", false));
}

#[test]
fn what_is_no_address_fails_its_own_dial_only() {
    let ((mut router, link), now) = (direct(), Instant::now());
    let pipe = ConnInfo { network: "pipe".into(), ..address(ID, "/a") };
    router.receive(link, pipe, now);
    router.receive(link, address(OTHER, "/b"), now);
    router.receive(link, address(ServiceId(3), &"x".repeat(100_000)), now);
    let unknown = EndpointError::UnknownNetwork { network: "pipe".into() };
    assert_eq!(router.claim(ID, now), Some(Claimed { endpoint: Err(unknown), again: false }));
    assert_eq!(router.claim(ID, now), None, "the next dial waits for a better one");
    assert_eq!(router.claim(OTHER, now), claimed("/b", false));
    let long = router.claim(ServiceId(3), now).expect("announced").endpoint.expect_err("too long");
    assert!(matches!(long, EndpointError::PathTooLong { path, .. } if path.len() <= 300));
}

#[test]
fn room_is_made_by_what_was_dialled_and_never_by_a_well_known_id() {
    let ((mut router, link), now) = (direct(), Instant::now());
    router.receive(link, address(FIRST_WELL_KNOWN, "/known"), now);
    // In turn: each is dialled before the next is announced.
    for id in (1..=2000).map(ServiceId) {
        router.receive(link, address(id, "/a"), now);
        assert_eq!(router.claim(id, now), claimed("/a", false));
        assert_eq!(router.claim(ID, now), claimed("/a", true), "what is used now and then stays");
    }
    // At once: all are announced before any is dialled.
    let at_once = || (3001..=3064).map(ServiceId);
    at_once().for_each(|id| router.receive(link, address(id, "/b"), now));
    assert_eq!(size(&router), MAX_ADDRESSES);
    for id in at_once() {
        assert_eq!(router.claim(id, now), claimed("/b", false));
    }
    assert_eq!(router.claim(FIRST_WELL_KNOWN, now), claimed("/known", false));
}

#[test]
fn a_flood_of_addresses_drops_the_oldest() {
    let ((mut router, link), now) = (direct(), Instant::now());
    router.receive(link, address(FIRST_WELL_KNOWN, "/known"), now);
    for id in 2..20_000 {
        router.receive(link, address(ServiceId(id), "/flood"), now);
        assert!(size(&router) <= MAX_ADDRESSES);
    }
    assert_eq!(router.claim(FIRST_WELL_KNOWN, now), claimed("/known", false));
    assert_eq!(router.claim(OTHER, now), None);
    assert_eq!(router.claim(ServiceId(19_999), now), claimed("/flood", false));
}

#[test]
fn a_direct_broker_refuses_knocks_and_ignores_answers() {
    let ((mut router, link), now) = (direct(), Instant::now());
    router.receive(link, knock(ID), now);
    assert_eq!(sent(&mut router, link, now), [refusal(ID, "this side does not multiplex")]);
    // What pyvider says when it is told an address.
    let unasked = Knock { knock: false, ack: true, error: "Channel not found".into() };
    router.receive(link, ConnInfo { knock: Some(unasked), ..address(ID, "/a") }, now);
    assert_eq!(sent(&mut router, link, now), []);
    assert_eq!(router.claim(ID, now), None);
}

#[test]
fn what_is_served_is_announced_on_this_link_and_the_next() {
    let ((mut router, link), now) = (direct(), Instant::now());
    let serving = router.serve(ID, Some(unix("/a")), now).expect("free");
    assert_eq!(router.serve(ID, Some(unix("/b")), now), None, "in use");
    assert_eq!(router.touched().collect::<Vec<_>>(), [link]);
    assert_eq!(sent(&mut router, link, now), [address(ID, "/a")]);
    router.close_link(link, LinkEnd::Lost);
    router.serve(OTHER, Some(unix("/b")), now).expect("free");

    let next = router.open_link();
    assert_eq!(sent(&mut router, next, now), [address(ID, "/a"), address(OTHER, "/b")]);
    router.stop(ID, serving);
    let again = router.serve(ID, Some(unix("/c")), now).expect("free again");
    router.stop(ID, serving);
    assert!(router.is_serving(ID, again), "the end of an earlier use is not the end of this one");
    router.stop(ID, again);
    let last = router.open_link();
    assert_eq!(sent(&mut router, last, now), [address(OTHER, "/b")]);
}

#[test]
fn a_service_that_stops_before_it_was_announced_never_is() {
    let ((mut router, link), now) = (direct(), Instant::now());
    let serving = router.serve(ID, Some(unix("/a")), now).expect("free");
    router.stop(ID, serving);
    assert_eq!(sent(&mut router, link, now), []);
}

#[test]
fn tells_a_dead_broker_from_none_and_from_one_that_went() {
    let now = Instant::now();
    let mut router = Router::direct(MINUTE);
    assert_eq!(router.reach(), Reach::Down);
    let reach_after = |router: &mut Router, sends: bool, receives: bool, end: LinkEnd| {
        let link = router.open_link();
        assert!(!matches!(router.reach(), Reach::Up(_)), "nobody reads it yet");
        router.link_up(link);
        assert_eq!(router.reach(), Reach::Up(link));
        if sends {
            let serving = router.serve(ID, Some(unix("/a")), now).expect("free");
            assert_eq!(sent(router, link, now).len(), 1);
            router.stop(ID, serving);
        }
        if receives {
            router.receive(link, address(OTHER, "/b"), now);
        }
        router.close_link(link, end);
        router.reach()
    };
    assert_eq!(reach_after(&mut router, false, false, LinkEnd::Unimplemented), Reach::NoBroker);
    assert_eq!(reach_after(&mut router, true, false, LinkEnd::ByPeer), Reach::PeerClosed);
    assert_eq!(reach_after(&mut router, true, true, LinkEnd::ByPeer), Reach::Down);
    assert_eq!(reach_after(&mut router, false, false, LinkEnd::ByPeer), Reach::Down);
    assert_eq!(reach_after(&mut router, true, false, LinkEnd::Lost), Reach::Down);
}

#[test]
fn a_new_peer_does_not_inherit_the_addresses_of_the_last() {
    let ((mut router, link), now) = (direct(), Instant::now());
    router.receive(link, address(ID, "/a"), now);
    let second = router.open_link();
    assert_eq!(router.claim(ID, now), claimed("/a", false), "the first peer is still there");
    router.close_link(link, LinkEnd::Lost);
    router.close_link(second, LinkEnd::Lost);
    assert_eq!(router.claim(ID, now), claimed("/a", true), "a lost link closes nothing");
    router.open_link();
    assert_eq!(router.claim(ID, now), None);
}

#[test]
fn links_are_bounded_and_the_newest_speaks() {
    let ((mut router, first), now) = (direct(), Instant::now());
    let newest = (0..100).map(|_| router.open_link()).last().expect("some");
    assert!(!router.has_link(first) && router.links.len() == MAX_LINKS);
    router.link_up(newest);
    router.serve(ID, Some(unix("/a")), now);
    assert_eq!(sent(&mut router, newest, now), [address(ID, "/a")]);
}

#[test]
fn a_stream_is_expected_before_its_knock_is_answered() {
    let ((mut router, link), now) = (multiplexed(), Instant::now());
    router.serve(ID, None, now).expect("free");
    assert_eq!(sent(&mut router, link, now), [], "there is no address to announce");
    router.receive(link, knock(ID), now);
    assert_eq!(router.route(now), Some(ID));
    assert_eq!(sent(&mut router, link, now), [admission(ID)]);
    assert_eq!(router.route(now), None, "one stream for one knock");
}

#[test]
fn a_knock_waits_for_its_service_and_no_longer_than_its_dialer() {
    let ((mut router, link), now) = (multiplexed(), Instant::now());
    router.receive(link, knock(ID), now);
    router.receive(link, knock(OTHER), now);
    assert_eq!(router.touched().count(), 1, "somebody has to look at the clock");
    assert_eq!(sent(&mut router, link, now), []);
    router.serve(OTHER, None, now + Duration::from_secs(4)).expect("free");
    assert_eq!(sent(&mut router, link, now + Duration::from_secs(4)), [admission(OTHER)]);
    let late = router.next_deadline().expect("one waits");
    assert!(late > now + Duration::from_secs(4) && late < now + Duration::from_secs(5));
    assert_eq!(sent(&mut router, link, late), [refusal(ID, "no listener for id 1")]);
    router.serve(ID, None, late).expect("free");
    assert_eq!(sent(&mut router, link, late), [], "refused once is refused");
    assert_eq!((router.route(late), router.route(late)), (Some(OTHER), None));
}

#[test]
fn streams_stay_in_step_when_a_listener_has_gone() {
    let ((mut router, link), now) = (multiplexed(), Instant::now());
    let serving = router.serve(ID, None, now).expect("free");
    router.serve(OTHER, None, now).expect("free");
    router.receive(link, knock(ID), now);
    router.receive(link, knock(OTHER), now);
    router.stop(ID, serving);
    assert_eq!((router.route(now), router.route(now)), (Some(ID), Some(OTHER)));
}

#[test]
fn a_stream_that_never_comes_is_not_expected_for_ever() {
    let ((mut router, link), now) = (multiplexed(), Instant::now());
    router.serve(ID, None, now).expect("free");
    router.receive(link, knock(ID), now);
    assert_eq!(router.route(now + Duration::from_secs(11)), None);
}

#[test]
fn a_dialer_learns_what_the_peer_says() {
    let ((mut router, link), now) = (multiplexed(), Instant::now());
    let mut ask = |answer: Knock| {
        assert!(router.knock(ID));
        assert_eq!(sent(&mut router, link, now), [knock(ID)]);
        assert_eq!(router.take_answer(), None);
        router.receive(link, admission(OTHER), now);
        assert_eq!(router.take_answer(), None, "not for this id");
        router.receive(link, ConnInfo { knock: Some(answer), ..knock(ID) }, now);
        let answer = router.take_answer().expect("an answer");
        assert_eq!((answer.owed_before, router.take_answer()), (0, None));
        answer.verdict
    };
    assert_eq!(ask(Knock { knock: true, ack: true, error: String::new() }), Ok(()));
    assert_eq!(ask(Knock { knock: true, ack: true, error: "no".into() }), Err("no".into()));
    assert_eq!(
        ask(Knock { knock: false, ack: false, error: String::new() }),
        Err("neither yes nor no".into())
    );
    let long = ask(Knock { knock: true, ack: true, error: "ä".repeat(1000) }).expect_err("refused");
    assert_eq!(long, "ä".repeat(150));
    router.close_link(link, LinkEnd::Lost);
    assert!(!router.knock(ID), "nobody to ask");
}

#[test]
fn a_stream_is_owed_for_an_answer_that_came_too_late() {
    let ((mut router, link), now) = (multiplexed(), Instant::now());
    router.knock(ID);
    router.give_up();
    assert_eq!(router.take_owed(), 0);
    router.receive(link, admission(ID), now);
    assert_eq!((router.take_owed(), router.take_owed()), (1, 0));

    // Answered, but given up before anybody looked.
    router.knock(ID);
    router.receive(link, admission(ID), now);
    router.give_up();
    assert_eq!(router.take_owed(), 1);

    // The late answer comes first, so its stream does too; one that comes later has to wait.
    router.knock(ID);
    router.give_up();
    router.knock(ServiceId(3));
    router.give_up();
    router.knock(OTHER);
    router.receive(link, admission(ID), now);
    router.receive(link, admission(OTHER), now);
    router.receive(link, admission(ServiceId(3)), now);
    assert_eq!(router.take_answer(), Some(Admission { verdict: Ok(()), owed_before: 1 }));
    assert_eq!(router.take_owed(), 1);

    // A late refusal is followed by nothing, and so is what nobody ever asked.
    router.knock(ID);
    router.give_up();
    router.receive(link, refusal(ID, "no"), now);
    router.receive(link, admission(ID), now);
    assert_eq!(router.take_owed(), 0);
}

#[test]
fn a_flood_of_knocks_is_turned_away() {
    let ((mut router, link), now) = (multiplexed(), Instant::now());
    router.serve(ID, None, now).expect("free");
    for id in 1..10_000 {
        router.receive(link, knock(ServiceId(id % 4)), now);
    }
    assert!(size(&router) <= 2 * MAX_KNOCKS + MAX_OUTBOX, "{}", size(&router));
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
        (0..6_u32).prop_map(Event::Knock),
        Just(Event::TakeAnswer),
        Just(Event::GiveUp),
        Just(Event::TakeOwed),
        Just(Event::Stream),
        Just(Event::NewSession),
        (0..20_000_u64).prop_map(Event::TimePasses),
    ]
}

proptest! {
    #[test]
    fn nothing_that_happens_breaks_it(multiplexed: bool, events in prop::collection::vec(event(), 0..200)) {
        events::run(multiplexed, events);
    }
}

/// A dialer and an acceptor, and what is on its way between them.
struct Pair {
    dialer: Router,
    acceptor: Router,
    link: LinkId,
    to_acceptor: VecDeque<ConnInfo>,
    to_dialer: VecDeque<ConnInfo>,
    /// Each with the id that it is for, or `None` if it is opened for nobody.
    streams: VecDeque<Option<ServiceId>>,
    asked: Option<ServiceId>,
    servings: Vec<(ServiceId, ServingId)>,
}

#[derive(Debug, Clone)]
enum Step {
    Ask(u32),
    Look,
    GiveUp,
    Serve(u32),
    Stop,
    ToAcceptor,
    ToDialer,
    Stream,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1..4_u32).prop_map(Step::Ask),
        2 => Just(Step::Look),
        1 => Just(Step::GiveUp),
        2 => (1..4_u32).prop_map(Step::Serve),
        1 => Just(Step::Stop),
        3 => Just(Step::ToAcceptor),
        3 => Just(Step::ToDialer),
        3 => Just(Step::Stream),
    ]
}

impl Pair {
    fn new() -> Self {
        let ((dialer, link), (acceptor, same)) = (multiplexed(), multiplexed());
        assert_eq!(link, same);
        let (to_acceptor, to_dialer, streams) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        Self { dialer, acceptor, link, to_acceptor, to_dialer, streams, asked: None, servings: Vec::new() }
    }

    fn open_for_nobody(&mut self, streams: usize) {
        self.streams.extend(std::iter::repeat_n(None, streams));
    }

    fn step(&mut self, step: &Step, now: Instant) -> Result<(), TestCaseError> {
        match *step {
            Step::Ask(id) if self.asked.is_none() => {
                let owed = self.dialer.take_owed();
                self.open_for_nobody(owed);
                assert!(self.dialer.knock(ServiceId(id)));
                self.asked = Some(ServiceId(id));
            }
            Step::Ask(_) => {}
            Step::Look => {
                if let Some(Admission { verdict, owed_before }) = self.dialer.take_answer() {
                    self.open_for_nobody(owed_before);
                    let asked = self.asked.take();
                    prop_assert!(asked.is_some());
                    if verdict.is_ok() {
                        self.streams.push_back(asked);
                    }
                }
            }
            Step::GiveUp => {
                self.dialer.give_up();
                self.asked = None;
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
            Step::ToAcceptor => {
                self.to_acceptor.extend(self.dialer.next_message(self.link, now));
                if let Some(message) = self.to_acceptor.pop_front() {
                    self.acceptor.receive(self.link, message, now);
                }
            }
            Step::ToDialer => {
                self.to_dialer.extend(self.acceptor.next_message(self.link, now));
                if let Some(message) = self.to_dialer.pop_front() {
                    self.dialer.receive(self.link, message, now);
                }
            }
            Step::Stream => {
                if let Some(meant) = self.streams.pop_front() {
                    let taken = self.acceptor.route(now);
                    prop_assert!(taken.is_some(), "every stream is expected");
                    prop_assert!(meant.is_none() || meant == taken, "{:?} went to {:?}", meant, taken);
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]
    #[test]
    fn every_stream_goes_to_whom_it_is_for(steps in prop::collection::vec(step(), 0..300)) {
        let now = Instant::now();
        let mut pair = Pair::new();
        for step in &steps {
            pair.step(step, now)?;
        }
        // Everything that is on its way arrives, and the last dialer looks.
        for _ in 0..MAX_KNOCKS {
            for step in [Step::ToAcceptor, Step::ToDialer, Step::Look, Step::Stream] {
                pair.step(&step, now)?;
            }
        }
        let owed = pair.dialer.take_owed();
        pair.open_for_nobody(owed);
        while !pair.streams.is_empty() {
            pair.step(&Step::Stream, now)?;
        }
        prop_assert_eq!(pair.acceptor.route(now), None, "no stream is expected that will not come");
    }
}
