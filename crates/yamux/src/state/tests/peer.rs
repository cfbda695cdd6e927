//! One side, and the frames of a peer that a test makes.

use super::*;

/// A client without pings, so that every deadline is one of a stream.
fn client(backlog: usize) -> (SessionState, Instant) {
    let now = Instant::now();
    let config = Config::default().with_backlog(backlog).without_keepalive();
    (SessionState::new(Role::Client, config, now), now)
}

fn receive(state: &mut SessionState, header: Header, now: Instant) {
    state.receive(header.encode().to_vec().into(), now);
}

fn receive_data(state: &mut SessionState, flags: Flags, id: u32, data: &[u8], now: Instant) {
    receive(state, Header { flags, ..Header::data(id, data.len() as u32) }, now);
    state.receive(Bytes::copy_from_slice(data), now);
}

fn events(state: &mut SessionState) -> Vec<Event> {
    std::iter::from_fn(|| state.next_event()).collect()
}

fn frames(state: &mut SessionState) -> Vec<Header> {
    std::iter::from_fn(|| frame(state)).collect()
}

#[test]
fn headers_may_arrive_in_pieces() {
    let (mut state, now) = client(3);
    let opening = [2, 4, 6].map(|id| Header::window_update(Flags::SYN, id, 0).encode()).concat();
    for (piece, opened) in [(0..5, 0), (5..11, 0), (11..14, 1), (14..36, 3)] {
        state.receive(Bytes::copy_from_slice(&opening[piece]), now);
        assert_eq!(state.waiting(), opened);
    }
    assert_eq!([state.accept(), state.accept(), state.accept()], [Some(2), Some(4), Some(6)]);
}

#[test]
fn a_waiting_writer_is_woken_once_and_only_when_there_is_room() {
    let (mut state, now) = client(1);
    let id = state.open().unwrap().unwrap();
    let write =
        |state: &mut SessionState, length| state.write(id, &[IoSlice::new(&vec![0; length])]).unwrap();
    let window = INITIAL_WINDOW as usize;
    assert_eq!(
        (write(&mut state, window), frames(&mut state).len()),
        (window, 5),
        "the whole window is used"
    );
    assert_eq!((write(&mut state, 1), events(&mut state)), (0, vec![]));
    let woken = |state: &mut SessionState, room| {
        receive(state, Header::window_update(Flags::NONE, id, room), now);
        events(state)
    };
    assert_eq!(woken(&mut state, 0), []);
    assert_eq!(woken(&mut state, 1), [Event::Writable(id)]);
    assert_eq!(woken(&mut state, 1), [], "no writer waits");
    assert_eq!(
        state.write(id, &[IoSlice::new(b"a"), IoSlice::new(b"bc")]).unwrap(),
        2,
        "as much as there is room for"
    );
}

#[test]
fn a_stream_is_acknowledged_by_the_first_frame_that_says_so() {
    let (mut state, now) = client(1);
    let id = state.open().unwrap().unwrap();
    receive(&mut state, Header::window_update(Flags::NONE, id, 0), now);
    assert_eq!((state.open().unwrap(), events(&mut state)), (None, vec![]));
    for expected in [vec![Event::Openable], vec![]] {
        receive(&mut state, Header::window_update(Flags::ACK, id, 0), now);
        assert_eq!(events(&mut state), expected);
    }
    assert_eq!(state.open().unwrap(), Some(id + 2));
    // A reset makes room too.
    receive(&mut state, Header::window_update(Flags::RST, id + 2, 0), now);
    assert_eq!(events(&mut state), [Event::Openable, Event::Reset(id + 2)]);
    assert_eq!(state.open().unwrap(), Some(id + 4));
    assert_eq!(state.open().unwrap(), None);
}

#[test]
fn data_after_the_end_and_empty_data_are_not_read() {
    let (mut state, now) = client(1);
    let id = state.open().unwrap().unwrap();
    receive(&mut state, Header::data(id, 0), now);
    receive_data(&mut state, Flags::NONE, id, b"ab", now);
    assert_eq!(events(&mut state), [Event::Data(id)]);
    assert!(matches!(state.read(id), Ok(Read::Data(data)) if data == "ab"));
    assert!(matches!(state.read(id), Ok(Read::Nothing)));
    // The end can be that of a frame without data.
    receive(&mut state, Header { flags: Flags::FIN, ..Header::data(id, 0) }, now);
    receive_data(&mut state, Flags::NONE, id, b"cd", now);
    assert!(matches!(state.read(id), Ok(Read::End)));
    assert!(state.reason().is_none());
}

#[test]
fn no_room_is_granted_to_a_peer_that_has_finished() {
    let (mut state, now) = client(1);
    let id = state.open().unwrap().unwrap();
    receive_data(&mut state, Flags::FIN, id, &vec![0; INITIAL_WINDOW as usize], now);
    frames(&mut state);
    while let Ok(Read::Data(_)) = state.read(id) {}
    assert_eq!(frames(&mut state), []);
}

#[test]
fn a_reset_counts_once_and_not_after_both_sides_have_finished() {
    for (this_side, peer, resets) in [(false, false, 1), (true, false, 1), (false, true, 1), (true, true, 0)]
    {
        let (mut state, now) = client(1);
        let id = state.open().unwrap().unwrap();
        receive_data(&mut state, if peer { Flags::FIN } else { Flags::NONE }, id, b"ab", now);
        if this_side {
            state.finish(id).unwrap();
        }
        for _ in 0..2 {
            receive(&mut state, Header::window_update(Flags::RST, id, 0), now);
        }
        let seen = events(&mut state).into_iter().filter(|event| *event == Event::Reset(id)).count();
        assert_eq!((seen, state.read(id).is_err()), (resets, resets == 1), "{this_side}, {peer}");
    }
}

#[test]
fn a_dropped_stream_ends_without_a_reset_when_everything_was_read_to_the_end() {
    for (finished, read, used, end) in [
        (true, true, true, Flags::FIN),
        (true, true, false, Flags::RST),
        (true, false, true, Flags::RST),
        (false, true, true, Flags::RST),
    ] {
        let (mut state, now) = client(1);
        let id = state.open().unwrap().unwrap();
        receive_data(&mut state, if finished { Flags::FIN } else { Flags::NONE }, id, b"ab", now);
        if read {
            assert!(matches!(state.read(id), Ok(Read::Data(_))));
        }
        frames(&mut state);
        state.detach(id, used, now);
        assert_eq!(frames(&mut state), [Header::window_update(end, id, 0)], "{finished}, {read}, {used}");
        assert!(state.streams.is_empty());
    }
}

#[test]
fn a_dropped_stream_keeps_no_data_and_no_deadline() {
    let (mut state, now) = client(1);
    let id = state.open().unwrap().unwrap();
    receive_data(&mut state, Flags::NONE, id, b"ab", now);
    state.finish(id).unwrap();
    state.detach(id, true, now);
    assert!(!state.streams[&id].has_unread());
    receive_data(&mut state, Flags::NONE, id, b"cd", now);
    assert!(!state.streams[&id].has_unread());
    assert_eq!(state.next_deadline(), Some(now + Duration::from_secs(5 * 60)));
    receive(&mut state, Header::window_update(Flags::FIN, id, 0), now);
    assert!(state.streams.is_empty());
    assert_eq!(state.next_deadline(), None);

    // Both sides had finished before.
    let id = state.open().unwrap().unwrap();
    state.finish(id).unwrap();
    receive(&mut state, Header::window_update(Flags::FIN, id, 0), now);
    state.detach(id, true, now);
    assert!(state.streams.is_empty());
}

#[test]
fn a_dropped_stream_of_a_closing_session_is_kept_until_its_data_is_written() {
    let (mut state, now) = client(2);
    let ids = [state.open().unwrap().unwrap(), state.open().unwrap().unwrap()];
    assert_eq!(state.write(ids[0], &[IoSlice::new(b"ab")]).unwrap(), 2);
    frame(&mut state);
    frame(&mut state);
    state.close();
    ids.into_iter().for_each(|id| state.detach(id, true, now));
    assert_eq!(state.streams.len(), 1);
    assert_eq!(frames(&mut state), [Header::data(ids[0], 2), Header::go_away(GO_AWAY_NORMAL)]);
}

#[test]
fn a_stream_that_the_peer_resets_before_it_is_accepted_has_no_deadline() {
    let (mut state, now) = client(2);
    let later = now + Duration::from_secs(5);
    for (id, opened) in [(2, now), (4, later)] {
        receive(&mut state, Header::window_update(Flags::SYN, id, 0), opened);
    }
    assert_eq!(state.next_deadline(), Some(now + ACCEPT_TIMEOUT));
    receive(&mut state, Header::window_update(Flags::RST, 2, 0), now);
    assert_eq!(state.next_deadline(), Some(later + ACCEPT_TIMEOUT));
    assert_eq!((state.accept(), state.accept()), (Some(2), Some(4)));
    assert_eq!(frames(&mut state), [Header::window_update(Flags::ACK, 4, 0)]);
}

#[test]
fn a_go_away_with_an_error_code_ends_the_session_at_once() {
    let (mut state, now) = client(1);
    state.open().unwrap().unwrap();
    receive(&mut state, Header::go_away(2), now);
    assert!(matches!(state.reason(), Some(Error::PeerFailed(2))));
    assert!(state.is_aborted() && !state.has_output());
    assert_eq!(events(&mut state), [Event::Ended]);
}

#[test]
fn frames_that_the_peer_causes_are_numbered_too() {
    let (mut state, now) = client(1);
    receive(&mut state, Header::ping(7), now);
    state.open().unwrap().unwrap();
    assert_eq!((state.control_queued(), state.control_taken()), (2, 0));
    for taken in 1..=2 {
        frame(&mut state).unwrap();
        assert_eq!((state.control_queued(), state.control_taken()), (2, taken));
    }
}
