//! The protocol without I/O: one side of a session as a state machine.
//!
//! Bytes from the connection, the calls of the application and the time go in. Frames to write and [`Event`]s come out.
//! Nothing here waits, reads a clock or wakes a task, so that every interleaving can be tested.

mod backlog;
mod buffers;
mod control;
mod input;
mod keepalive;
mod lingering;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSlice};
use std::time::Instant;

use bytes::Bytes;

use self::backlog::Backlog;
use self::control::ControlQueue;
use self::input::{Input, Payload, Piece};
use self::keepalive::Pings;
use self::lingering::Lingering;
use self::stream::{LocalEnd, StreamState};
use crate::config::Config;
use crate::error::{Error, ProtocolError};
use crate::frame::{Flags, GO_AWAY_NORMAL, GO_AWAY_PROTOCOL_ERROR, HEADER_LEN, Header, Kind};

/// The end of the connection on which a session runs. It decides which stream ids the session gives out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Opens streams with odd ids.
    Client,
    /// Opens streams with even ids.
    Server,
}

/// A change for which a task may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A stream of the peer waits to be accepted.
    Opened(u32),
    /// The stream has data to read.
    Data(u32),
    /// The peer has finished its half of the stream. At most once for each stream.
    Finished(u32),
    /// The stream was reset. At most once for each stream, and never after both halves have finished.
    Reset(u32),
    /// There is room for a writer that waits for it.
    Writable(u32),
    /// One more stream may be opened.
    Openable,
    /// The peer accepts no further streams.
    GoingAway,
    /// The session has ended. [`SessionState::reason`] returns the reason.
    Ended,
}

/// A frame to write.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) header: [u8; HEADER_LEN],
    pub(crate) payload: Bytes,
}

/// The outcome of a read.
#[derive(Debug)]
pub(crate) enum Read {
    Data(Bytes),
    /// The peer has finished its half, and all of its data has been read.
    End,
    /// There is no data yet. [`Event::Data`], [`Event::Finished`], [`Event::Reset`] or [`Event::Ended`] follows.
    Nothing,
}

/// One side of a session.
#[derive(Debug)]
pub(crate) struct SessionState {
    role: Role,
    config: Config,
    phase: Phase,
    input: Input,

    /// The id of the next stream that this side opens. `None` when all ids are used.
    next_id: Option<u32>,
    /// How many streams of this side the peer has not acknowledged.
    unacknowledged: usize,
    /// Whether the peer accepts no further streams.
    peer_goes_away: bool,
    /// Whether this side resets every stream that the peer opens.
    refuses: bool,

    streams: HashMap<u32, StreamState>,
    backlog: Backlog,
    lingering: Lingering,
    pings: Pings,

    control: ControlQueue,
    /// The streams with data to send. They take turns.
    round: VecDeque<u32>,
    events: VecDeque<Event>,
}

/// The phase of a session's life.
#[derive(Debug)]
enum Phase {
    Running,
    /// The session takes no further calls and no further bytes. After an orderly end, queued frames are still written,
    /// then the go-away frame.
    Ended {
        reason: Error,
        orderly: bool,
        go_away: Option<u32>,
    },
}

impl SessionState {
    pub(crate) fn new(role: Role, config: Config, now: Instant) -> Self {
        let pings = Pings::new(config.keepalive, now);
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
            backlog: Backlog::default(),
            lingering: Lingering::default(),
            pings,
            control: ControlQueue::default(),
            round: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    // Opening and accepting streams.

    /// Opens a stream. `None` means that the caller must wait for [`Event::Openable`].
    pub(crate) fn open(&mut self) -> Result<Option<u32>, Error> {
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
        self.control.push(Header::window_update(Flags::SYN, id, extra));
        Ok(Some(id))
    }

    /// Hands the oldest stream of the backlog to the application and acknowledges it.
    pub(crate) fn accept(&mut self) -> Option<u32> {
        let id = self.backlog.pop()?;
        let stream = self.streams.get_mut(&id)?;
        if !stream.reset && matches!(self.phase, Phase::Running) {
            let extra = stream.widen(self.config.receive_window);
            self.control.push_reply(Header::window_update(Flags::ACK, id, extra));
        }
        Some(id)
    }

    /// How many streams of the peer wait to be accepted.
    pub(crate) fn waiting(&self) -> usize {
        self.backlog.len()
    }

    /// Resets the streams that wait to be accepted, and all that arrive later.
    pub(crate) fn refuse_streams(&mut self) {
        self.refuses = true;
        for id in self.backlog.drain() {
            self.reset_stream(id);
            self.streams.remove(&id);
        }
    }

    // The application's calls on one stream.

    /// Takes data to send. Zero means that the caller must wait for [`Event::Writable`].
    pub(crate) fn write(&mut self, id: u32, parts: &[IoSlice<'_>]) -> io::Result<usize> {
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

    /// Takes received data. The data counts as read, which makes room for the peer.
    pub(crate) fn read(&mut self, id: u32) -> io::Result<Read> {
        let ended = self.reason().map(Error::to_io);
        let window = self.config.receive_window;
        let stream = self.attached(id)?;
        if stream.reset {
            return Err(reset_error());
        }
        if let Some(data) = stream.take_received() {
            let update = if ended.is_none() { stream.take_window_update(window) } else { None };
            if let Some(delta) = update {
                self.control.push(Header::window_update(Flags::NONE, id, delta));
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

    /// Finishes this side's half after the data that has been written. Does nothing the second time.
    pub(crate) fn finish(&mut self, id: u32) -> io::Result<()> {
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

    /// The number of the frame that finishes this side's half, once the frame is queued.
    pub(crate) fn fin(&self, id: u32) -> Option<u64> {
        self.streams.get(&id)?.fin
    }

    /// Takes note that the application has dropped the stream. `read_all` is whether the application has used all data
    /// that it took.
    ///
    /// The stream ends without loss if the peer has finished and everything was read, or if this side has finished.
    /// Otherwise it is reset.
    pub(crate) fn detach(&mut self, id: u32, read_all: bool, now: Instant) {
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
        } else if stream.exceeds_linger(window) {
            self.reset_stream(id);
        } else if !stream.remote_finished {
            let deadline = now + linger;
            stream.lingers_until = Some(deadline);
            if let Some(oldest) = self.lingering.insert(deadline, id) {
                self.reset_stream(oldest);
            }
        }
    }

    // Bytes from the connection.

    /// Takes bytes from the connection, however they are cut.
    pub(crate) fn receive(&mut self, mut bytes: Bytes, now: Instant) {
        self.pings.received_bytes(now);
        while !bytes.is_empty() && matches!(self.phase, Phase::Running) {
            match self.input.next(&mut bytes) {
                Some(Piece::Header(header)) => {
                    let outcome = Header::decode(header).and_then(|header| self.receive_header(header, now));
                    if let Err(error) = outcome {
                        self.fail(error);
                    }
                    self.control.limit_replies(now);
                }
                Some(Piece::Payload(data, payload)) if payload.wanted => {
                    self.receive_data(payload.stream, data);
                    if payload.left == 0 && payload.fin {
                        self.receive_fin(payload.stream);
                    }
                }
                Some(Piece::Payload(..)) | None => {}
            }
        }
    }

    fn receive_header(&mut self, header: Header, now: Instant) -> Result<(), ProtocolError> {
        match header.kind {
            Kind::Ping if header.flags.has(Flags::SYN) => {
                self.control.push_reply(Header::pong(header.length))
            }
            Kind::Ping => self.pings.received_reply(header.length),
            Kind::GoAway if header.length == GO_AWAY_NORMAL => {
                self.peer_goes_away = true;
                self.events.push_back(Event::GoingAway);
            }
            Kind::GoAway => self.abort(Error::PeerFailed(header.length)),
            Kind::Data | Kind::WindowUpdate => self.receive_stream_header(header, now)?,
        }
        if self.control.is_flooded() {
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
            self.input = Input::Payload(Payload { stream: id, left: length, fin, wanted });
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
            self.control.push_reply(Header::window_update(Flags::RST, id, 0));
            return Ok(());
        }
        self.streams.insert(id, StreamState::new(false));
        self.backlog.push(id, now);
        self.events.push_back(Event::Opened(id));
        Ok(())
    }

    fn receive_data(&mut self, id: u32, data: Bytes) {
        // The stream may have been removed between two pieces of one frame.
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.exceeds_linger(self.config.receive_window) {
            self.reset_stream(id);
        } else if !stream.detached && !stream.reset {
            stream.push_received(data);
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
        // When both sides have finished, the peer no longer knows the stream, and the application may still read.
        let finished = stream.remote_finished && stream.local == LocalEnd::Finished;
        if !stream.reset && !finished {
            self.forget(id);
        }
    }

    // Time.

    /// Does what is due. Call it at [`next_deadline`](Self::next_deadline). Earlier calls do no harm.
    pub(crate) fn tick(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Running) {
            return;
        }
        match self.pings.tick(now) {
            Ok(Some(value)) => self.control.push(Header::ping(value)),
            Ok(None) => {}
            Err(error) => {
                self.abort(error);
                return;
            }
        }
        if self.control.replies_due().is_some_and(|due| due <= now) {
            self.fail(ProtocolError::Flooded);
            return;
        }
        while let Some(id) = self.lingering.overdue(now) {
            self.reset_stream(id);
        }
        while let Some(id) = self.backlog.overdue(now) {
            self.reset_stream(id);
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        if !matches!(self.phase, Phase::Running) {
            return None;
        }
        let deadlines = [
            self.pings.deadline(),
            self.control.replies_due(),
            self.lingering.deadline(),
            self.backlog.deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    // Output.

    /// Takes the next frame to write. Frames without data come first, then the streams with data take turns.
    pub(crate) fn next_frame(&mut self) -> Option<Frame> {
        if let Some(header) = self.control.pop() {
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
                // Not on the data frame itself: a Go reader could see the end before the last data.
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

    /// Whether so many replies wait that some must be written before more is read. The session ends if the peer does
    /// not take them in time.
    pub(crate) fn must_drain_replies(&self) -> bool {
        self.control.must_drain_replies()
    }

    /// Whether [`next_frame`](Self::next_frame) may return a frame.
    pub(crate) fn has_output(&self) -> bool {
        let go_away = matches!(self.phase, Phase::Ended { go_away: Some(_), .. });
        go_away || !self.control.is_empty() || !self.round.is_empty()
    }

    pub(crate) fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The number of the frame without data that was queued last.
    pub(crate) fn control_queued(&self) -> u64 {
        self.control.queued()
    }

    /// The number of the frame without data that [`next_frame`](Self::next_frame) returned last.
    pub(crate) fn control_taken(&self) -> u64 {
        self.control.taken()
    }

    // The end of a stream.

    /// Finds the state of a stream that the application holds. A stream without a state counts as reset.
    fn attached(&mut self, id: u32) -> io::Result<&mut StreamState> {
        self.streams.get_mut(&id).ok_or_else(reset_error)
    }

    /// Resets a stream and sends RST to the peer.
    fn reset_stream(&mut self, id: u32) {
        if self.streams.get(&id).is_some_and(|stream| !stream.reset) {
            self.control.push(Header::window_update(Flags::RST, id, 0));
            self.forget(id);
        }
    }

    /// Marks a stream as reset and frees everything that it holds.
    fn forget(&mut self, id: u32) {
        self.stop_lingering(id);
        self.backlog.mark_reset(id);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.reset();
        if std::mem::take(&mut stream.unacknowledged) {
            self.unacknowledged -= 1;
            self.events.push_back(Event::Openable);
        }
        self.events.push_back(Event::Reset(id));
        self.retire(id);
    }

    /// Sends FIN. No other function does.
    fn send_fin(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id)
            && stream.local == LocalEnd::Finishing
        {
            stream.local = LocalEnd::Finished;
            self.control.push(Header::window_update(Flags::FIN, id, 0));
            stream.fin = Some(self.control.queued());
            self.retire(id);
        }
    }

    fn stop_lingering(&mut self, id: u32) {
        if let Some(deadline) = self.streams.get_mut(&id).and_then(|stream| stream.lingers_until.take()) {
            self.lingering.remove(deadline, id);
        }
    }

    /// Removes a stream that is over.
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

    // The end of the session.

    /// Ends the session: frames that are queued are still written, then a go-away frame. Does nothing if the session
    /// has ended.
    pub(crate) fn close(&mut self) {
        if matches!(self.phase, Phase::Running) {
            self.enter_end(Error::Closed, Some(GO_AWAY_NORMAL));
        }
    }

    /// Ends the session at once: no further frame is written. Keeps the reason of an earlier end.
    pub(crate) fn abort(&mut self, reason: Error) {
        if let Phase::Ended { orderly, go_away, .. } = &mut self.phase {
            *orderly = false;
            *go_away = None;
        } else {
            self.enter_end(reason, None);
        }
        self.discard_output();
    }

    /// The reason why the session ended, if it has ended.
    pub(crate) fn reason(&self) -> Option<&Error> {
        match &self.phase {
            Phase::Running => None,
            Phase::Ended { reason, .. } => Some(reason),
        }
    }

    /// Whether the session has ended and has nothing left to write.
    pub(crate) fn is_aborted(&self) -> bool {
        matches!(self.phase, Phase::Ended { orderly: false, .. })
    }

    fn fail(&mut self, error: ProtocolError) {
        self.discard_output();
        self.enter_end(Error::Protocol(error), Some(GO_AWAY_PROTOCOL_ERROR));
    }

    fn discard_output(&mut self) {
        self.control.clear();
        self.round.clear();
    }

    fn enter_end(&mut self, reason: Error, go_away: Option<u32>) {
        self.phase = Phase::Ended { reason, orderly: go_away.is_some(), go_away };
        for id in self.backlog.drain() {
            self.streams.remove(&id);
        }
        self.events.push_back(Event::Ended);
    }
}

impl Frame {
    fn bare(header: Header) -> Self {
        Self { header: header.encode(), payload: Bytes::new() }
    }
}

fn reset_error() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the stream was reset")
}
