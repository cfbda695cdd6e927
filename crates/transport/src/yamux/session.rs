//! The protocol without I/O: one side of a session as a state machine.
//!
//! Bytes from the connection, the application's wishes and the time go in; frames to write and [`Event`]s come out.
//! Nothing here waits, reads a clock or wakes a task, so every interleaving can be tested.

mod stream;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};

use self::stream::{LocalEnd, StreamState};
use super::config::{Config, Keepalive};
use super::error::{Error, ProtocolError};
use super::frame::{Flags, GO_AWAY_NORMAL, GO_AWAY_PROTOCOL_ERROR, HEADER_LEN, Header, Kind};

/// Which end of the connection this is; it decides who gives which stream ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Opens streams with odd ids.
    Client,
    /// Opens streams with even ids.
    Server,
}

/// Something that a waiting task may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A stream of the peer waits to be accepted.
    Opened(u32),
    /// The stream has data to read.
    Data(u32),
    /// The peer has finished its half of the stream. At most once for each stream.
    Finished(u32),
    /// The stream has ended at once. At most once for each stream, and never after both halves have finished.
    Reset(u32),
    /// A writer that found no room has some now.
    Writable(u32),
    /// One more stream may be opened.
    Openable,
    /// The peer takes no further streams.
    GoingAway,
    /// The session has ended; [`SessionState::reason`] says why.
    Ended,
}

/// One frame to write.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) header: [u8; HEADER_LEN],
    pub(super) payload: Bytes,
}

/// What a reader finds.
#[derive(Debug)]
pub(super) enum Read {
    Data(Bytes),
    /// The peer finished its half, and all of it has been read.
    End,
    /// Nothing yet; [`Event::Data`], [`Event::Finished`], [`Event::Reset`] or [`Event::Ended`] will tell.
    Nothing,
}

/// One side of a session.
#[derive(Debug)]
pub(super) struct SessionState {
    role: Role,
    config: Config,
    phase: Phase,
    input: Input,

    next_id: Option<u32>,
    unacknowledged: usize,
    peer_goes_away: bool,
    refuses: bool,

    streams: HashMap<u32, StreamState>,
    backlog: VecDeque<Unaccepted>,
    /// Dropped streams whose peer has not finished, with the time at which they are given up.
    lingering: BTreeSet<(Instant, u32)>,
    pings: Pings,

    /// Frames without data; they go before all data. Queued ones are counted, so that a SYN can be waited for.
    control: VecDeque<Control>,
    /// How many of them the peer has called for.
    answers: usize,
    /// When the peer has to have taken enough of them, if there are too many.
    answers_due: Option<Instant>,
    control_queued: u64,
    control_taken: u64,
    /// The round of streams with data to send.
    round: VecDeque<u32>,
    events: VecDeque<Event>,
}

/// How far the session's life has got.
#[derive(Debug)]
enum Phase {
    Running,
    /// Nothing is accepted any more. In an orderly end, queued frames still leave, and `go_away` after all of them.
    Ended {
        reason: Error,
        orderly: bool,
        go_away: Option<u32>,
    },
}

/// What the next received byte belongs to.
#[derive(Debug)]
enum Input {
    Header { bytes: [u8; HEADER_LEN], filled: usize },
    Payload { stream: u32, left: u32, fin: bool, wanted: bool },
}

/// A frame without data that waits to be written.
#[derive(Debug)]
struct Control {
    header: Header,
    /// A peer can call for as many of these as it likes, so they are limited.
    answer: bool,
}

/// A stream of the peer that waits to be accepted.
#[derive(Debug)]
struct Unaccepted {
    stream: u32,
    /// When the stream is given up; none once it has been reset. Even then it is handed to the application, since
    /// go-plugin's broker recognises streams by the order of their arrival.
    deadline: Option<Instant>,
}

/// The keepalive: one question at a time.
#[derive(Debug)]
struct Pings {
    settings: Option<Keepalive>,
    /// When to ask next, or how long to wait for the answer.
    deadline: Option<Instant>,
    /// The question that is not answered: its value, and when it was asked.
    asked: Option<(u32, Instant)>,
    next_value: u32,
}

impl SessionState {
    pub(super) fn new(role: Role, config: Config, now: Instant) -> Self {
        let pings = Pings {
            settings: config.keepalive,
            deadline: config.keepalive.map(|keepalive| now + keepalive.interval),
            asked: None,
            next_value: 0,
        };
        Self {
            role,
            config,
            phase: Phase::Running,
            input: Input::header(),
            next_id: Some(match role {
                Role::Client => 1,
                Role::Server => 2,
            }),
            unacknowledged: 0,
            peer_goes_away: false,
            refuses: false,
            streams: HashMap::new(),
            backlog: VecDeque::new(),
            lingering: BTreeSet::new(),
            pings,
            control: VecDeque::new(),
            answers: 0,
            answers_due: None,
            control_queued: 0,
            control_taken: 0,
            round: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    // What the application wants.

    /// Opens a stream, or tells with `None` that [`Event::Openable`] must be waited for.
    pub(super) fn open(&mut self) -> Result<Option<u32>, Error> {
        if let Some(reason) = self.reason() {
            return Err(reason.clone());
        }
        if self.peer_goes_away {
            return Err(Error::PeerGoingAway);
        }
        let id = self.next_id.ok_or(Error::StreamIdsExhausted)?;
        if self.unacknowledged >= self.config.backlog {
            return Ok(None);
        }
        self.next_id = id.checked_add(2);
        self.unacknowledged += 1;
        let mut stream = StreamState::new(true);
        let extra = stream.widen(self.config.receive_window);
        self.streams.insert(id, stream);
        self.queue(Header::window_update(Flags::SYN, id, extra));
        Ok(Some(id))
    }

    /// Hands the oldest stream of the peer to the application and acknowledges it.
    pub(super) fn accept(&mut self) -> Option<u32> {
        let Unaccepted { stream: id, .. } = self.backlog.pop_front()?;
        let stream = self.streams.get_mut(&id)?;
        if !stream.reset && matches!(self.phase, Phase::Running) {
            let extra = stream.widen(self.config.receive_window);
            self.queue_answer(Header::window_update(Flags::ACK, id, extra));
        }
        Some(id)
    }

    /// How many streams of the peer wait to be accepted.
    pub(super) fn waiting(&self) -> usize {
        self.backlog.len()
    }

    /// Nobody will ever accept a stream again: resets those that wait, and all that come.
    pub(super) fn refuse_streams(&mut self) {
        self.refuses = true;
        for waiting in std::mem::take(&mut self.backlog) {
            self.reset_stream(waiting.stream);
            self.streams.remove(&waiting.stream);
        }
    }

    /// Takes data to send. Zero means that [`Event::Writable`] must be waited for.
    pub(super) fn write(&mut self, id: u32, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let ended = self.reason().map(Error::to_io);
        let send_buffer = self.config.send_buffer;
        let stream = self.attached(id)?;
        if stream.reset {
            return Err(reset_error());
        }
        if stream.local != LocalEnd::Open {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the stream was shut down for writing"));
        }
        if let Some(error) = ended {
            return Err(error);
        }
        let written = stream.write(parts, send_buffer);
        if written == 0 {
            stream.writer_waits = true;
            return Ok(0);
        }
        if !stream.scheduled {
            stream.scheduled = true;
            self.round.push_back(id);
        }
        Ok(written)
    }

    /// Takes received data. What is taken counts as read, and makes room for the peer.
    pub(super) fn read(&mut self, id: u32) -> io::Result<Read> {
        let ended = self.reason().map(Error::to_io);
        let window = self.config.receive_window;
        let stream = self.attached(id)?;
        if stream.reset {
            return Err(reset_error());
        }
        if let Some(data) = stream.take_received() {
            let update = if ended.is_none() { stream.take_window_update(window) } else { None };
            if let Some(delta) = update {
                self.queue(Header::window_update(Flags::NONE, id, delta));
            }
            return Ok(Read::Data(data));
        }
        if stream.remote_finished {
            return Ok(Read::End);
        }
        match ended {
            Some(error) => Err(error),
            None => Ok(Read::Nothing),
        }
    }

    /// Finishes this side's half after what has been written. Does nothing the second time.
    pub(super) fn finish(&mut self, id: u32) -> io::Result<()> {
        let ended = self.reason().map(Error::to_io);
        let stream = self.attached(id)?;
        if stream.reset {
            return Err(reset_error());
        }
        if stream.local != LocalEnd::Open {
            return Ok(());
        }
        if let Some(error) = ended {
            return Err(error);
        }
        stream.local = LocalEnd::Finishing;
        if !stream.has_unsent() {
            self.send_fin(id);
        }
        Ok(())
    }

    /// The number of the frame that ends this side's half after all that was written, once it is queued.
    pub(super) fn fin(&self, id: u32) -> Option<u64> {
        self.streams.get(&id)?.fin
    }

    /// The application drops the stream. `read_all` tells whether it has used all data that it took.
    ///
    /// A stream whose end both sides know ends in order: the peer has finished and all was read, or this side has
    /// finished. Any other is reset.
    pub(super) fn detach(&mut self, id: u32, read_all: bool, now: Instant) {
        let running = matches!(self.phase, Phase::Running);
        let Config { receive_window: window, linger, .. } = self.config;
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.detached = true;
        if stream.is_over() || (!running && !stream.has_unsent()) {
            self.streams.remove(&id);
            return;
        }
        if !running {
            return;
        }
        let read_to_end = read_all && stream.remote_finished && !stream.has_unread();
        stream.discard_received();
        if stream.local == LocalEnd::Open {
            if !read_to_end {
                self.reset_stream(id);
                return;
            }
            stream.local = LocalEnd::Finishing;
            if !stream.has_unsent() {
                self.send_fin(id);
            }
        } else if stream.overstays(window) {
            self.reset_stream(id);
        } else if !stream.remote_finished {
            let deadline = now + linger;
            stream.lingers_until = Some(deadline);
            self.lingering.insert((deadline, id));
            if self.lingering.len() > MAX_LINGERING
                && let Some((_, oldest)) = self.lingering.pop_first()
            {
                self.reset_stream(oldest);
            }
        }
    }

    /// Ends the session in order: what was written still leaves, then a go-away frame. Does nothing once it has ended.
    pub(super) fn close(&mut self) {
        if matches!(self.phase, Phase::Running) {
            self.enter_end(Error::Closed, Some(GO_AWAY_NORMAL));
        }
    }

    /// Ends the session at once: nothing more will be written. Keeps the reason of an earlier end.
    pub(super) fn abort(&mut self, reason: Error) {
        if let Phase::Ended { orderly, go_away, .. } = &mut self.phase {
            *orderly = false;
            *go_away = None;
        } else {
            self.enter_end(reason, None);
        }
        self.discard_output();
    }

    // What the connection and the clock say.

    /// Takes bytes from the connection, however they are cut.
    pub(super) fn receive(&mut self, mut bytes: Bytes, now: Instant) {
        self.pings.heard(now);
        while !bytes.is_empty() && matches!(self.phase, Phase::Running) {
            match &mut self.input {
                Input::Header { bytes: header, filled } => {
                    let take = bytes.len().min(HEADER_LEN - *filled);
                    bytes.copy_to_slice(&mut header[*filled..*filled + take]);
                    *filled += take;
                    if *filled == HEADER_LEN {
                        let header = *header;
                        self.input = Input::header();
                        let outcome =
                            Header::decode(header).and_then(|header| self.receive_header(header, now));
                        if let Err(error) = outcome {
                            self.fail(error);
                        }
                        if self.owes_answers() {
                            self.answers_due.get_or_insert(now + ANSWER_LIMIT);
                        }
                    }
                }
                Input::Payload { stream, left, fin, wanted } => {
                    let take = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    let data = bytes.split_to(take);
                    *left = left.saturating_sub(u32::try_from(take).unwrap_or(u32::MAX));
                    let (stream, fin, wanted, complete) = (*stream, *fin, *wanted, *left == 0);
                    if complete {
                        self.input = Input::header();
                    }
                    if wanted {
                        self.receive_data(stream, data);
                        if complete && fin {
                            self.receive_fin(stream);
                        }
                    }
                }
            }
        }
    }

    /// Does what is due. Call it when [`next_deadline`](Self::next_deadline) has come; earlier calls do no harm.
    pub(super) fn tick(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Running) {
            return;
        }
        match self.pings.tick(now) {
            Ok(Some(value)) => self.queue(Header::ping(value)),
            Ok(None) => {}
            Err(error) => {
                self.abort(error);
                return;
            }
        }
        if self.answers_due.is_some_and(|due| due <= now) {
            self.fail(ProtocolError::Flooded);
            return;
        }
        while self.lingering.first().is_some_and(|&(deadline, _)| deadline <= now) {
            if let Some((_, id)) = self.lingering.pop_first() {
                self.reset_stream(id);
            }
        }
        for index in 0..self.backlog.len() {
            let waiting = &self.backlog[index];
            if waiting.deadline.is_some_and(|deadline| deadline <= now) {
                self.reset_stream(waiting.stream);
            }
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        if !matches!(self.phase, Phase::Running) {
            return None;
        }
        let lingering = self.lingering.first().map(|&(deadline, _)| deadline);
        let unaccepted = self.backlog.iter().find_map(|waiting| waiting.deadline);
        [self.pings.deadline, self.answers_due, lingering, unaccepted].into_iter().flatten().min()
    }

    // What comes out.

    /// The next frame to write. Frames without data come first, then data of one stream after the other in turn.
    pub(super) fn next_frame(&mut self) -> Option<Frame> {
        if let Some(Control { header, answer }) = self.control.pop_front() {
            self.control_taken += 1;
            self.answers -= usize::from(answer);
            if !self.owes_answers() {
                self.answers_due = None;
            }
            return Some(Frame::bare(header));
        }
        while let Some(id) = self.round.pop_front() {
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            stream.scheduled = false;
            if !stream.has_unsent() {
                continue;
            }
            let payload = stream.take_unsent(self.config.max_frame);
            if std::mem::take(&mut stream.writer_waits) {
                self.events.push_back(Event::Writable(id));
            }
            if stream.has_unsent() {
                stream.scheduled = true;
                self.round.push_back(id);
            } else if stream.local == LocalEnd::Finishing {
                // Never on the data frame itself: a Go reader could see the end before the last data.
                self.send_fin(id);
            }
            let length = u32::try_from(payload.len()).expect("the configuration limits frames to 64 KiB");
            return Some(Frame { header: Header::data(id, length).encode(), payload });
        }
        match &mut self.phase {
            Phase::Ended { go_away, .. } => go_away.take().map(|code| Frame::bare(Header::go_away(code))),
            Phase::Running => None,
        }
    }

    /// Whether so many answers wait that they have to be written before more is read. A peer that does not take them
    /// in time ends the session.
    pub(super) fn owes_answers(&self) -> bool {
        self.answers >= MANY_ANSWERS
    }

    /// Whether [`next_frame`](Self::next_frame) may have something.
    pub(super) fn has_output(&self) -> bool {
        let last_words = matches!(self.phase, Phase::Ended { go_away: Some(_), .. });
        last_words || !self.control.is_empty() || !self.round.is_empty()
    }

    pub(super) fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// How many frames without data were ever queued: the number of the latest.
    pub(super) fn control_queued(&self) -> u64 {
        self.control_queued
    }

    /// How many of them [`next_frame`](Self::next_frame) has given out.
    pub(super) fn control_taken(&self) -> u64 {
        self.control_taken
    }

    /// Why the session ended, if it has.
    pub(super) fn reason(&self) -> Option<&Error> {
        match &self.phase {
            Phase::Running => None,
            Phase::Ended { reason, .. } => Some(reason),
        }
    }

    /// Whether the session has ended in a way that leaves nothing to be written.
    pub(super) fn is_aborted(&self) -> bool {
        matches!(self.phase, Phase::Ended { orderly: false, .. })
    }

    /// Streams that the application holds find their state; an id that it does not hold is as good as reset.
    fn attached(&mut self, id: u32) -> io::Result<&mut StreamState> {
        self.streams.get_mut(&id).ok_or_else(reset_error)
    }

    fn receive_header(&mut self, header: Header, now: Instant) -> Result<(), ProtocolError> {
        match header.kind {
            Kind::Ping if header.flags.has(Flags::SYN) => self.queue_answer(Header::pong(header.length)),
            Kind::Ping => self.pings.answered(header.length),
            Kind::GoAway if header.length == GO_AWAY_NORMAL => {
                self.peer_goes_away = true;
                self.events.push_back(Event::GoingAway);
            }
            Kind::GoAway => self.abort(Error::PeerFailed(header.length)),
            Kind::Data | Kind::WindowUpdate => self.receive_stream_header(header, now)?,
        }
        if self.answers > MAX_ANSWERS {
            return Err(ProtocolError::Flooded);
        }
        Ok(())
    }

    fn receive_stream_header(&mut self, header: Header, now: Instant) -> Result<(), ProtocolError> {
        let Header { kind, flags, stream: id, length } = header;
        if flags.has(Flags::SYN) {
            self.receive_syn(id, now)?;
        }
        let mut wanted = false;
        if let Some(stream) = self.streams.get_mut(&id)
            && !stream.reset
        {
            if flags.has(Flags::ACK) && stream.unacknowledged {
                stream.unacknowledged = false;
                self.unacknowledged -= 1;
                self.events.push_back(Event::Openable);
            }
            if kind == Kind::WindowUpdate {
                stream.grant(length);
                if stream.room(self.config.send_buffer) > 0 && std::mem::take(&mut stream.writer_waits) {
                    self.events.push_back(Event::Writable(id));
                }
            } else if !stream.remote_finished {
                if !stream.expect_data(length) {
                    return Err(ProtocolError::WindowExceeded(id));
                }
                wanted = true;
            }
        }
        let fin = flags.has(Flags::FIN);
        if flags.has(Flags::RST) {
            self.receive_rst(id);
            wanted = false;
        } else if fin && (kind == Kind::WindowUpdate || length == 0) {
            self.receive_fin(id);
        }
        if kind == Kind::Data && length > 0 {
            self.input = Input::Payload { stream: id, left: length, fin, wanted };
        }
        Ok(())
    }

    fn receive_syn(&mut self, id: u32, now: Instant) -> Result<(), ProtocolError> {
        let odd = id % 2 == 1;
        if id == 0 || odd == (self.role == Role::Client) {
            return Err(ProtocolError::ForeignStreamId(id));
        }
        if self.streams.contains_key(&id) {
            return Err(ProtocolError::DuplicateStream(id));
        }
        if self.refuses || self.backlog.len() >= self.config.backlog {
            self.queue_answer(Header::window_update(Flags::RST, id, 0));
            return Ok(());
        }
        self.streams.insert(id, StreamState::new(false));
        self.backlog.push_back(Unaccepted { stream: id, deadline: Some(now + ACCEPT_LIMIT) });
        self.events.push_back(Event::Opened(id));
        Ok(())
    }

    fn receive_data(&mut self, id: u32, data: Bytes) {
        // The stream may have gone between two pieces of one frame.
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.overstays(self.config.receive_window) {
            self.reset_stream(id);
        } else if !stream.detached && !stream.reset {
            stream.receive(data);
            self.events.push_back(Event::Data(id));
        }
    }

    fn receive_fin(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.remote_finished || stream.reset {
            return;
        }
        stream.remote_finished = true;
        self.events.push_back(Event::Finished(id));
        self.stop_lingering(id);
        self.retire(id);
    }

    fn receive_rst(&mut self, id: u32) {
        let Some(stream) = self.streams.get(&id) else { return };
        // Both sides have finished: the peer no longer knows the stream, and its owner may still read.
        let finished = stream.remote_finished && stream.local == LocalEnd::Finished;
        if !stream.reset && !finished {
            self.forget(id);
        }
    }

    /// Ends a stream at once and tells the peer.
    fn reset_stream(&mut self, id: u32) {
        if self.streams.get(&id).is_some_and(|stream| !stream.reset) {
            self.queue(Header::window_update(Flags::RST, id, 0));
            self.forget(id);
        }
    }

    /// Marks a stream as reset and gives back everything that it holds.
    fn forget(&mut self, id: u32) {
        self.stop_lingering(id);
        if let Some(waiting) = self.backlog.iter_mut().find(|waiting| waiting.stream == id) {
            waiting.deadline = None;
        }
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.reset();
        if std::mem::take(&mut stream.unacknowledged) {
            self.unacknowledged -= 1;
            self.events.push_back(Event::Openable);
        }
        self.events.push_back(Event::Reset(id));
        self.retire(id);
    }

    /// The one place that sends FIN.
    fn send_fin(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id)
            && stream.local == LocalEnd::Finishing
        {
            stream.local = LocalEnd::Finished;
            stream.fin = Some(self.control_queued + 1);
            self.queue(Header::window_update(Flags::FIN, id, 0));
            self.retire(id);
        }
    }

    fn stop_lingering(&mut self, id: u32) {
        if let Some(deadline) = self.streams.get_mut(&id).and_then(|stream| stream.lingers_until.take()) {
            self.lingering.remove(&(deadline, id));
        }
    }

    fn retire(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id)
            && stream.is_over()
        {
            if std::mem::take(&mut stream.unacknowledged) {
                self.unacknowledged -= 1;
                self.events.push_back(Event::Openable);
            }
            self.streams.remove(&id);
        }
    }

    fn queue(&mut self, header: Header) {
        self.control.push_back(Control { header, answer: false });
        self.control_queued += 1;
    }

    fn queue_answer(&mut self, header: Header) {
        self.control.push_back(Control { header, answer: true });
        self.control_queued += 1;
        self.answers += 1;
    }

    fn fail(&mut self, error: ProtocolError) {
        self.discard_output();
        self.enter_end(Error::Protocol(error), Some(GO_AWAY_PROTOCOL_ERROR));
    }

    fn discard_output(&mut self) {
        self.control.clear();
        self.answers = 0;
        self.answers_due = None;
        self.round.clear();
    }

    fn enter_end(&mut self, reason: Error, go_away: Option<u32>) {
        self.phase = Phase::Ended { reason, orderly: go_away.is_some(), go_away };
        for waiting in std::mem::take(&mut self.backlog) {
            self.streams.remove(&waiting.stream);
        }
        self.events.push_back(Event::Ended);
    }
}

impl Pings {
    /// The value to ask the peer with, if it is time.
    fn tick(&mut self, now: Instant) -> Result<Option<u32>, Error> {
        let (Some(settings), Some(deadline)) = (self.settings, self.deadline) else { return Ok(None) };
        if now < deadline {
            return Ok(None);
        }
        if self.asked.is_some() {
            return Err(Error::KeepaliveTimeout(settings.timeout));
        }
        let value = self.next_value;
        self.next_value = value.wrapping_add(1);
        self.asked = Some((value, now));
        self.deadline = Some(now + settings.timeout);
        Ok(Some(value))
    }

    /// Whatever comes shows that the peer is there. Its answer may be behind much data, or this side may have been too
    /// busy to read for a while.
    fn heard(&mut self, now: Instant) {
        if let (Some(settings), Some(_)) = (self.settings, self.asked) {
            self.deadline = Some(now + settings.timeout);
        }
    }

    fn answered(&mut self, value: u32) {
        if let (Some(settings), Some((asked, at))) = (self.settings, self.asked)
            && asked == value
        {
            self.asked = None;
            self.deadline = Some(at + settings.interval);
        }
    }
}

impl Frame {
    fn bare(header: Header) -> Self {
        Self { header: header.encode(), payload: Bytes::new() }
    }
}

impl Input {
    fn header() -> Self {
        Self::Header { bytes: [0; HEADER_LEN], filled: 0 }
    }
}

fn reset_error() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the stream was reset")
}

/// How many streams that this side has finished and dropped may wait for the peer; beyond that the oldest is reset.
const MAX_LINGERING: usize = 1024;

/// How long a stream may wait to be accepted. Less than the 75 s (`StreamOpenTimeout`) after which a Go peer gives up
/// the whole session for want of an acknowledgement.
const ACCEPT_LIMIT: Duration = Duration::from_secs(60);

/// How many frames that the peer called for may wait for the connection before nothing more is read: answers to pings,
/// acknowledgements, refusals. A peer that reads what it is sent hardly comes near: it has at most a ping or two under
/// way, and as many streams as the backlog allows.
const MANY_ANSWERS: usize = 1024;

/// How long a peer may take none of them.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How many may wait at all: more than what is read at once can call for.
const MAX_ANSWERS: usize = 16 * 1024;
