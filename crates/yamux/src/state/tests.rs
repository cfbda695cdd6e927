//! Two state machines against each other in any interleaving, and one state machine against any bytes.

mod peer;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::backlog::ACCEPT_TIMEOUT;
use super::control::{MANY_REPLIES, MAX_REPLIES, REPLY_TIMEOUT};
use super::lingering::MAX_LINGERING;
use super::*;
use crate::frame::INITIAL_WINDOW;

const INITIAL_CREDIT: u64 = INITIAL_WINDOW as u64;

/// One side, with a record of the calls of its application and their results.
struct Side {
    state: SessionState,
    /// Bytes on their way from this side.
    wire: VecDeque<u8>,
    held: BTreeMap<u32, Held>,
    /// Streams for which an event reported the end of the peer's half.
    finished: BTreeSet<u32>,
    reset: BTreeSet<u32>,
    /// Streams whose FIN or RST left this side.
    fins_sent: BTreeSet<u32>,
    resets_sent: BTreeSet<u32>,
    /// How many bytes this side may still send on each stream, by the frames alone.
    credit: BTreeMap<u32, u64>,
    opened: Vec<u32>,
    accepted: Vec<u32>,
}

/// A stream that the application holds.
#[derive(Default)]
struct Held {
    written: usize,
    read: usize,
    finished: bool,
    saw_end: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Open(bool),
    Accept(bool),
    Write {
        side: bool,
        pick: usize,
        len: usize,
    },
    Read {
        side: bool,
        pick: usize,
    },
    Finish {
        side: bool,
        pick: usize,
    },
    Drop {
        side: bool,
        pick: usize,
    },
    /// Moves frames from the state machine to the wire.
    Send {
        side: bool,
        frames: usize,
    },
    /// Moves bytes over the wire.
    Deliver {
        side: bool,
        bytes: usize,
    },
    Wait {
        millis: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let pick = 0..8usize;
    prop_oneof![
        2 => any::<bool>().prop_map(Step::Open),
        2 => any::<bool>().prop_map(Step::Accept),
        6 => (any::<bool>(), pick.clone(), 1..300_000usize)
            .prop_map(|(side, pick, len)| Step::Write { side, pick, len }),
        4 => (any::<bool>(), pick.clone(), 1..300usize)
            .prop_map(|(side, pick, len)| Step::Write { side, pick, len }),
        8 => (any::<bool>(), pick.clone()).prop_map(|(side, pick)| Step::Read { side, pick }),
        2 => (any::<bool>(), pick.clone()).prop_map(|(side, pick)| Step::Finish { side, pick }),
        1 => (any::<bool>(), pick).prop_map(|(side, pick)| Step::Drop { side, pick }),
        8 => (any::<bool>(), 1..20usize).prop_map(|(side, frames)| Step::Send { side, frames }),
        8 => (any::<bool>(), 1..200_000usize).prop_map(|(side, bytes)| Step::Deliver { side, bytes }),
        8 => (any::<bool>(), 1..40usize).prop_map(|(side, bytes)| Step::Deliver { side, bytes }),
        1 => (1..20_000u64).prop_map(|millis| Step::Wait { millis }),
    ]
}

fn configuration() -> impl Strategy<Value = Config> {
    (1..70_000usize, 1..400_000usize, 0..900_000u32, 1..5usize).prop_map(
        |(frame, buffer, window, backlog)| {
            Config::default()
                .with_max_frame(frame)
                .with_send_buffer(buffer)
                .with_receive_window(window)
                .with_backlog(backlog)
                .without_keepalive()
        },
    )
}

/// The byte that `side` writes on a stream at a position.
fn byte(side: usize, stream: u32, position: usize) -> u8 {
    (position ^ (position >> 8) ^ (position >> 16)) as u8
        ^ (stream as u8).wrapping_mul(37)
        ^ (side as u8 * 101)
}

impl Side {
    fn new(role: Role, config: Config, now: Instant) -> Self {
        Self {
            state: SessionState::new(role, config, now),
            wire: VecDeque::new(),
            held: BTreeMap::new(),
            finished: BTreeSet::new(),
            reset: BTreeSet::new(),
            fins_sent: BTreeSet::new(),
            resets_sent: BTreeSet::new(),
            credit: BTreeMap::new(),
            opened: Vec::new(),
            accepted: Vec::new(),
        }
    }

    fn pick(&self, pick: usize) -> Option<u32> {
        let ids: Vec<u32> = self.held.keys().copied().collect();
        (!ids.is_empty()).then(|| ids[pick % ids.len()])
    }

    fn take_events(&mut self) {
        while let Some(event) = self.state.next_event() {
            match event {
                Event::Finished(id) => assert!(self.finished.insert(id), "stream {id} finished twice"),
                Event::Reset(id) => assert!(self.reset.insert(id), "stream {id} was reset twice"),
                Event::Ended => panic!("the session ended: {:?}", self.state.reason()),
                _ => {}
            }
        }
    }
}

struct Pair {
    sides: [Side; 2],
    now: Instant,
}

impl Pair {
    fn new(client: Config, server: Config) -> Self {
        let now = Instant::now();
        Self { sides: [Side::new(Role::Client, client, now), Side::new(Role::Server, server, now)], now }
    }

    fn open(&mut self, at: usize) {
        let side = &mut self.sides[at];
        if let Some(id) = side.state.open().expect("the session runs") {
            side.held.insert(id, Held::default());
            side.opened.push(id);
        }
    }

    fn accept(&mut self, at: usize) {
        let side = &mut self.sides[at];
        if let Some(id) = side.state.accept() {
            side.held.insert(id, Held::default());
            side.accepted.push(id);
        }
    }

    fn write(&mut self, at: usize, id: u32, len: usize) {
        let side = &mut self.sides[at];
        let held = side.held.get_mut(&id).unwrap();
        let data: Vec<u8> =
            (held.written..held.written + len).map(|position| byte(at, id, position)).collect();
        let (front, back) = data.split_at(len / 3);
        match side.state.write(id, &[IoSlice::new(front), IoSlice::new(back)]) {
            Ok(written) => {
                assert!(!held.finished, "a finished stream took data");
                held.written += written;
            }
            Err(_) => assert!(held.finished || side.state.streams[&id].reset),
        }
    }

    /// Reads once. Returns false if there was nothing to read.
    fn read(&mut self, at: usize, id: u32) -> bool {
        let side = &mut self.sides[at];
        let held = side.held.get_mut(&id).unwrap();
        match side.state.read(id) {
            Ok(Read::Data(data)) => {
                assert!(!held.saw_end && !data.is_empty());
                for received in data {
                    assert_eq!(received, byte(1 - at, id, held.read), "stream {id} at {}", held.read);
                    held.read += 1;
                }
                true
            }
            Ok(Read::End) => {
                held.saw_end = true;
                false
            }
            Ok(Read::Nothing) => {
                assert!(!held.saw_end);
                false
            }
            Err(_) => {
                assert!(side.state.streams[&id].reset);
                false
            }
        }
    }

    fn finish(&mut self, at: usize, id: u32) {
        let side = &mut self.sides[at];
        if side.state.finish(id).is_ok() {
            side.held.get_mut(&id).unwrap().finished = true;
        }
    }

    fn detach(&mut self, at: usize, id: u32) {
        let side = &mut self.sides[at];
        side.held.remove(&id);
        side.state.detach(id, true, self.now);
    }

    /// Moves one frame to the wire and checks it against the frames before. Returns false if there was no frame.
    fn send(&mut self, at: usize) -> bool {
        let [client, server] = &mut self.sides;
        let (side, peer) = if at == 0 { (client, server) } else { (server, client) };
        let Some(frame) = side.state.next_frame() else { return false };
        let header = Header::decode(frame.header).expect("only valid frames are sent");
        let id = header.stream;
        if header.kind == Kind::Data {
            let credit = side.credit.entry(id).or_insert(INITIAL_CREDIT);
            *credit =
                credit.checked_sub(header.length.into()).expect("the peer has room for all that is sent");
            assert!(!side.fins_sent.contains(&id), "data after the end of stream {id}");
            assert!(!side.resets_sent.contains(&id), "data after the reset of stream {id}");
            assert_eq!(header.length as usize, frame.payload.len());
            assert!(!frame.payload.is_empty());
        } else if header.kind == Kind::WindowUpdate {
            // Credit for the other direction. Its sender may receive the update later, and must never send more than
            // the credit.
            *peer.credit.entry(id).or_insert(INITIAL_CREDIT) += u64::from(header.length);
        }
        if header.flags.has(Flags::FIN) {
            assert!(side.fins_sent.insert(id), "a second FIN on stream {id}");
        }
        if header.flags.has(Flags::RST) {
            assert!(side.resets_sent.insert(id), "a second RST on stream {id}");
        }
        side.wire.extend(frame.header);
        side.wire.extend(frame.payload);
        side.take_events();
        true
    }

    /// Moves bytes from one side to the other. Returns false if there were no bytes.
    fn deliver(&mut self, from: usize, bytes: usize) -> bool {
        let count = bytes.min(self.sides[from].wire.len());
        let chunk: Vec<u8> = self.sides[from].wire.drain(..count).collect();
        self.sides[1 - from].state.receive(chunk.into(), self.now);
        self.sides[1 - from].take_events();
        count > 0
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Open(side) => self.open(side.into()),
            Step::Accept(side) => self.accept(side.into()),
            Step::Write { side, pick, len } => {
                if let Some(id) = self.sides[usize::from(side)].pick(pick) {
                    self.write(side.into(), id, len);
                }
            }
            Step::Read { side, pick } => {
                if let Some(id) = self.sides[usize::from(side)].pick(pick) {
                    self.read(side.into(), id);
                }
            }
            Step::Finish { side, pick } => {
                if let Some(id) = self.sides[usize::from(side)].pick(pick) {
                    self.finish(side.into(), id);
                    self.finish(side.into(), id);
                }
            }
            Step::Drop { side, pick } => {
                if let Some(id) = self.sides[usize::from(side)].pick(pick) {
                    self.detach(side.into(), id);
                }
            }
            Step::Send { side, frames } => {
                for _ in 0..frames {
                    self.send(side.into());
                }
            }
            Step::Deliver { side, bytes } => {
                self.deliver(side.into(), bytes);
            }
            Step::Wait { millis } => {
                self.now += Duration::from_millis(millis);
                for side in &mut self.sides {
                    side.state.tick(self.now);
                    side.take_events();
                }
            }
        }
        for side in &mut self.sides {
            side.take_events();
        }
    }

    /// Lets both applications finish and read everything, until no frame and no byte moves.
    fn settle(&mut self) {
        loop {
            let mut moved = false;
            for at in 0..2 {
                let accepted = self.sides[at].accepted.len();
                self.accept(at);
                moved |= self.sides[at].accepted.len() > accepted;
                for id in self.sides[at].held.keys().copied().collect::<Vec<_>>() {
                    self.finish(at, id);
                    while self.read(at, id) {
                        moved = true;
                    }
                }
                while self.send(at) {
                    moved = true;
                }
                moved |= self.deliver(at, usize::MAX);
            }
            for side in &mut self.sides {
                side.take_events();
            }
            if !moved {
                return;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_keeps_streams_whole(
        client in configuration(),
        server in configuration(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut pair = Pair::new(client, server);
        for step in &steps {
            pair.run(step);
        }
        pair.settle();

        let [client, server] = &pair.sides;
        // Streams arrive in the order in which they were opened; some may have been refused.
        for (side, peer) in [(client, server), (server, client)] {
            let arrived: Vec<u32> =
                side.opened.iter().copied().filter(|id| peer.accepted.contains(id)).collect();
            prop_assert_eq!(&peer.accepted, &arrived);
        }
        for (side, peer) in [(client, server), (server, client)] {
            for (id, held) in &side.held {
                if side.state.streams[id].reset {
                    prop_assert!(side.reset.contains(id));
                } else {
                    prop_assert!(held.saw_end, "stream {} never ended", id);
                    prop_assert!(side.finished.contains(id));
                    if let Some(other) = peer.held.get(id) {
                        prop_assert_eq!(held.read, other.written);
                    }
                }
            }
        }
        // When the applications have dropped their streams, no state is left.
        for at in 0..2 {
            for id in pair.sides[at].held.keys().copied().collect::<Vec<_>>() {
                pair.detach(at, id);
            }
        }
        pair.settle();
        for side in &pair.sides {
            prop_assert!(side.state.streams.is_empty(), "left: {:?}", side.state.streams);
            prop_assert_eq!(side.state.unacknowledged, 0);
            prop_assert!(side.state.lingering.deadline().is_none());
            prop_assert!(!side.state.has_output());
        }
    }

    #[test]
    fn any_bytes_are_taken(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..20)) {
        let now = Instant::now();
        let mut state = SessionState::new(Role::Server, Config::default(), now);
        for chunk in chunks {
            state.receive(chunk.into(), now);
        }
        while state.next_frame().is_some() {}
    }

    #[test]
    fn any_frames_are_taken_within_bounds(
        frames in prop::collection::vec((0..4u8, 0..16u16, 0..6u32, prop_oneof![0..40u32, any::<u32>()]), 0..200),
        actions in prop::collection::vec((0..6u8, 0..6u32), 0..200),
        cuts in prop::collection::vec(1..40usize, 1..20),
    ) {
        let mut now = Instant::now();
        let mut state = SessionState::new(Role::Server, Config::default().with_backlog(3), now);
        let mut input = Vec::new();
        for (kind, flags, stream, length) in frames {
            input.extend([0, kind]);
            input.extend(flags.to_be_bytes());
            input.extend(stream.to_be_bytes());
            input.extend(length.to_be_bytes());
            if kind == 0 {
                input.resize(input.len() + (length as usize).min(40), 1);
            }
        }
        let mut actions = actions.into_iter();
        let mut input = Bytes::from(input);
        for cut in cuts.into_iter().cycle() {
            if input.is_empty() {
                break;
            }
            state.receive(input.split_to(cut.min(input.len())), now);
            match actions.next() {
                Some((0, _)) => drop(state.open()),
                Some((1, _)) => drop(state.accept()),
                Some((2, id)) => drop(state.write(id, &[IoSlice::new(&[7; 1000])])),
                Some((3, id)) => drop(state.read(id)),
                Some((4, id)) => drop(state.finish(id)),
                Some((_, id)) => {
                    now += Duration::from_secs(50);
                    state.tick(now);
                    if !state.backlog.contains(id) {
                        state.detach(id, true, now);
                    }
                }
                None => {}
            }
            prop_assert!(state.backlog.len() <= 3);
            prop_assert!(state.control.replies <= MAX_REPLIES + 1);
        }
        while state.next_frame().is_some() {}
    }
}

fn server() -> (SessionState, Instant) {
    let now = Instant::now();
    (SessionState::new(Role::Server, Config::default(), now), now)
}

fn frame(state: &mut SessionState) -> Option<Header> {
    state.next_frame().map(|frame| Header::decode(frame.header).unwrap())
}

fn syn(id: u32) -> Bytes {
    Header::window_update(Flags::SYN, id, 0).encode().to_vec().into()
}

/// Feeds frames to a server whose stream 1 is open, and expects it to end the session.
#[track_caller]
fn check_violation(frames: &[Header], expected: ProtocolError) {
    let (mut state, now) = server();
    state.receive(syn(1), now);
    state.accept();
    for header in frames {
        state.receive(header.encode().to_vec().into(), now);
    }
    match state.reason() {
        Some(Error::Protocol(error)) => assert_eq!(*error, expected),
        other => panic!("{other:?}"),
    }
    assert_eq!(frame(&mut state), Some(Header::go_away(GO_AWAY_PROTOCOL_ERROR)));
    assert_eq!(frame(&mut state), None);
}

#[test]
fn violations_end_the_session_with_a_go_away() {
    check_violation(&[Header::window_update(Flags::SYN, 1, 0)], ProtocolError::DuplicateStream(1));
    check_violation(&[Header::window_update(Flags::SYN, 2, 0)], ProtocolError::ForeignStreamId(2));
    check_violation(&[Header::window_update(Flags::SYN, 0, 0)], ProtocolError::ForeignStreamId(0));
    check_violation(&[Header::data(1, INITIAL_WINDOW + 1)], ProtocolError::WindowExceeded(1));
    check_violation(&[Header::ping(1); MAX_REPLIES + 1], ProtocolError::Flooded);
}

#[test]
fn a_peer_that_takes_no_replies_ends_the_session_after_a_timeout() {
    let (mut state, now) = server();
    let pings = |state: &mut SessionState, count| {
        (0..count).for_each(|value| state.receive(Header::ping(value).encode().to_vec().into(), now));
    };
    pings(&mut state, MANY_REPLIES as u32 - 1);
    assert!(!state.must_drain_replies() && state.control.replies_due().is_none());
    pings(&mut state, 1);
    assert!(state.must_drain_replies());
    assert_eq!(state.next_deadline(), Some(now + REPLY_TIMEOUT));
    assert!(frame(&mut state).is_some());
    assert!(!state.must_drain_replies() && state.control.replies_due().is_none());
    // As many as may wait at most.
    pings(&mut state, (MAX_REPLIES - MANY_REPLIES) as u32 + 1);
    assert!(state.reason().is_none());
    state.tick(now + REPLY_TIMEOUT);
    assert!(matches!(state.reason(), Some(Error::Protocol(ProtocolError::Flooded))));
}

#[test]
fn the_window_is_granted_again_when_half_of_it_was_read() {
    let (mut state, now) = server();
    state.receive(syn(1), now);
    state.accept();
    assert_eq!(frame(&mut state), Some(Header::window_update(Flags::ACK, 1, 0)));
    let half = INITIAL_WINDOW / 2;
    for length in [half - 1, 1] {
        state.receive(Header::data(1, length).encode().to_vec().into(), now);
        state.receive(vec![0; length as usize].into(), now);
        assert_eq!(frame(&mut state), None);
        while let Ok(Read::Data(_)) = state.read(1) {}
    }
    assert_eq!(frame(&mut state), Some(Header::window_update(Flags::NONE, 1, half)));
    // The peer has room for a whole window again, and not for more.
    state.receive(Header::data(1, INITIAL_WINDOW).encode().to_vec().into(), now);
    state.receive(vec![0; INITIAL_WINDOW as usize].into(), now);
    assert!(state.reason().is_none());
    state.receive(Header::data(1, 1).encode().to_vec().into(), now);
    assert!(matches!(state.reason(), Some(Error::Protocol(ProtocolError::WindowExceeded(1)))));
}

#[test]
fn streams_beyond_the_backlog_are_reset() {
    let (mut state, now) = server();
    for number in 0..257 {
        state.receive(syn(2 * number + 1), now);
    }
    assert_eq!(frame(&mut state), Some(Header::window_update(Flags::RST, 513, 0)));
    assert_eq!(frame(&mut state), None);
    for number in 0..256 {
        assert_eq!(state.accept(), Some(2 * number + 1));
    }
    assert_eq!(state.accept(), None);
}

#[test]
fn an_unaccepted_stream_is_reset_and_keeps_its_place() {
    let (mut state, now) = server();
    state.receive(syn(1), now);
    state.receive(syn(3), now + Duration::from_secs(5));
    assert_eq!(state.next_deadline(), Some(now + Duration::from_secs(30)));
    state.tick(now + Duration::from_secs(30));
    assert_eq!(frame(&mut state), Some(Header::ping(0)));
    state.receive(Header::pong(0).encode().to_vec().into(), now + Duration::from_secs(30));
    assert_eq!(state.next_deadline(), Some(now + ACCEPT_TIMEOUT), "also the time of the next ping");
    state.tick(now + ACCEPT_TIMEOUT);
    assert_eq!(frame(&mut state), Some(Header::ping(1)));
    assert_eq!(frame(&mut state), Some(Header::window_update(Flags::RST, 1, 0)));
    assert_eq!((state.accept(), state.accept()), (Some(1), Some(3)));
    assert!(state.read(1).is_err());
    assert!(state.read(3).is_ok());
    assert_eq!(frame(&mut state), Some(Header::window_update(Flags::ACK, 3, 0)));
    assert_eq!(frame(&mut state), None);
}

#[test]
fn dropped_streams_do_not_pile_up() {
    let (mut state, now) = server();
    for _ in 0..=MAX_LINGERING {
        let id = state.open().unwrap().unwrap();
        state.receive(Header::window_update(Flags::ACK, id, 0).encode().to_vec().into(), now);
        state.finish(id).unwrap();
        state.detach(id, true, now);
    }
    assert_eq!(state.streams.len(), MAX_LINGERING);
    let mut resets = 0;
    while let Some(header) = frame(&mut state) {
        resets += usize::from(header == Header::window_update(Flags::RST, 2, 0));
    }
    assert_eq!(resets, 1);
}

#[test]
fn a_dropped_stream_to_which_the_peer_keeps_sending_is_reset() {
    let (mut state, now) = server();
    state.receive(syn(1), now);
    state.accept();
    state.finish(1).unwrap();
    state.detach(1, true, now);
    while frame(&mut state).is_some() {}
    for length in [INITIAL_WINDOW / 2, 1] {
        assert_eq!(frame(&mut state), None);
        state.receive(Header::data(1, length).encode().to_vec().into(), now);
        state.receive(vec![0; length as usize].into(), now);
    }
    assert_eq!(frame(&mut state), Some(Header::window_update(Flags::RST, 1, 0)));
    assert!(state.streams.is_empty());
}

#[test]
fn a_fin_on_a_data_frame_takes_effect_once_and_after_the_data() {
    let (mut state, now) = server();
    state.receive(syn(1), now);
    state.accept();
    let last = Header { flags: Flags::FIN, ..Header::data(1, 4) };
    state.receive(last.encode().to_vec().into(), now);
    state.receive(Bytes::from_static(b"ab"), now);
    assert!(matches!(state.read(1), Ok(Read::Data(data)) if data == "ab"));
    assert!(matches!(state.read(1), Ok(Read::Nothing)));
    state.receive(Bytes::from_static(b"cd"), now);
    state.receive(Header::window_update(Flags::FIN, 1, 0).encode().to_vec().into(), now);
    assert!(matches!(state.read(1), Ok(Read::Data(data)) if data == "cd"));
    assert!(matches!(state.read(1), Ok(Read::End)));
    let ends = std::iter::from_fn(|| state.next_event()).filter(|event| *event == Event::Finished(1)).count();
    assert_eq!(ends, 1);
    assert!(state.reason().is_none());
}

#[test]
fn a_stream_that_ended_without_acknowledgement_makes_room_for_another() {
    let now = Instant::now();
    let mut state = SessionState::new(Role::Server, Config::default().with_backlog(1), now);
    let id = state.open().unwrap().unwrap();
    assert_eq!(state.open().unwrap(), None);
    state.receive(Header::window_update(Flags::FIN, id, 0).encode().to_vec().into(), now);
    state.detach(id, true, now);
    assert_eq!(frame(&mut state), Some(Header::window_update(Flags::SYN, id, 0)));
    assert_eq!(frame(&mut state), Some(Header::window_update(Flags::FIN, id, 0)));
    assert_eq!(state.open().unwrap(), Some(id + 2));
}

#[test]
fn any_bytes_of_the_peer_count_for_the_keepalive() {
    let (mut state, now) = server();
    let at = |seconds| now + Duration::from_secs(seconds);
    state.tick(at(30));
    state.receive(Header::window_update(Flags::NONE, 9, 1).encode().to_vec().into(), at(39));
    state.tick(at(40));
    assert!(state.reason().is_none());
    assert_eq!(state.next_deadline(), Some(at(49)));
    state.tick(at(49));
    assert!(matches!(state.reason(), Some(Error::KeepaliveTimeout(_))));
}

#[test]
fn streams_take_turns() {
    let (mut state, _) = server();
    let ids = [state.open().unwrap().unwrap(), state.open().unwrap().unwrap()];
    for id in ids {
        state.write(id, &[IoSlice::new(&[0; 200_000])]).unwrap();
    }
    while frame(&mut state).is_some_and(|header| header.kind != Kind::Data || header.stream == ids[0]) {}
    let order: Vec<u32> = std::iter::from_fn(|| frame(&mut state)).map(|header| header.stream).collect();
    assert_eq!(order, [ids[0], ids[1], ids[0], ids[1], ids[0], ids[1]]);
}
