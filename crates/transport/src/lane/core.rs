//! The state of one connection: frames in, frames out, without I/O and without a clock.

use std::{
    collections::{HashMap, VecDeque},
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use h2::Reason;
use http::{HeaderMap, StatusCode, uri::PathAndQuery};

use super::{
    call::{Call, End},
    credit::{Granted, affordable, cost},
    error::LaneError,
    frame::{self, Frame, Hello},
    limits::LEAST_CREDIT,
    output::Output,
};
use crate::meter::LaneCounts;

/// The state of a connection.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) role: Role,
    pub(super) own: Hello,
    /// The limits of the peer, once they are known.
    pub(super) peer: Option<Hello>,
    pub(super) output: Output,
    pub(super) calls: HashMap<u32, Call>,
    /// The number of the last call that the client has opened.
    last_opened: u32,
    /// How much data the peer accepts on the whole connection.
    credit: i64,
    granted: Granted,
    /// Calls whose data waits for room in the output, or for credit of the connection.
    queue: VecDeque<u32>,
    /// Calls that have arrived at a server.
    pub(super) accepted: VecDeque<Accepted>,
    /// The reason for which no further calls are made, if the peer has sent one.
    pub(super) going_away: Option<LaneError>,
    /// How far the shutdown of this side has come.
    pub(super) closing: Closing,
    /// Why the connection has ended.
    pub(super) ended: Option<LaneError>,
    /// Wakers to be woken once the lock is released.
    pub(super) wake: Vec<Waker>,
    /// Callers that wait for other calls to end.
    waiting_callers: Vec<Waker>,
    pings: u64,
    pongs: u64,
    pong_waker: Option<Waker>,
    /// How many bytes the peer has provoked that are not written yet.
    provoked: usize,
    pub(super) counts: Option<LaneCounts>,
    /// Whether the last call has ended.
    pub(super) idle: bool,
    /// Whether this side makes no further calls.
    pub(super) abandoned: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    No,
    /// The peer has been asked to make no further calls. Calls that it has made before arrive until it answers a ping.
    Asked,
    /// Further calls are not processed.
    Final,
}

/// A call that has arrived.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) call: u32,
    pub(super) path: PathAndQuery,
    pub(super) headers: HeaderMap,
}

impl Core {
    pub(super) fn new(role: Role, own: Hello, counts: Option<LaneCounts>) -> Self {
        let mut core = Self {
            role,
            own,
            peer: None,
            output: Output::default(),
            calls: HashMap::new(),
            last_opened: 0,
            credit: 0,
            granted: Granted::new(own.connection_credit),
            queue: VecDeque::new(),
            accepted: VecDeque::new(),
            going_away: None,
            closing: Closing::No,
            ended: None,
            wake: Vec::new(),
            waiting_callers: Vec::new(),
            pings: 0,
            pongs: 0,
            pong_waker: None,
            provoked: 0,
            counts,
            idle: false,
            abandoned: false,
        };
        core.send(&Frame::Hello(own));
        core
    }

    /// Reads all frames that have arrived completely.
    pub(super) fn receive(&mut self, input: &mut BytesMut) -> Result<(), LaneError> {
        while let Some(frame) = frame::decode(input, &self.own)? {
            self.handle(frame)?;
        }
        Ok(())
    }

    /// Whether more may be read. A peer that provokes frames and does not read them has to wait.
    pub(super) fn may_read(&self) -> bool {
        self.provoked < MAX_PROVOKED
    }

    /// Takes note that all output has been written.
    pub(super) fn written(&mut self) {
        self.provoked = 0;
    }

    fn handle(&mut self, frame: Frame) -> Result<(), LaneError> {
        let Some(peer) = self.peer else {
            let Frame::Hello(hello) = frame else {
                return Err(LaneError::Protocol("another frame before its limits"));
            };
            if hello.call_credit < LEAST_CREDIT
                || hello.connection_credit < LEAST_CREDIT
                || hello.max_frame == 0
            {
                return Err(LaneError::Protocol("limits that allow no calls"));
            }
            self.credit = i64::from(hello.connection_credit);
            self.peer = Some(hello);
            return Ok(());
        };
        match frame {
            Frame::Hello(_) => Err(LaneError::Protocol("its limits twice")),
            Frame::Open { call, end, path, headers } => self.opened(&peer, call, end, path, headers),
            Frame::Headers { call, end, status, headers } => self.responded(call, end, status, headers),
            Frame::Data { call, end, data } => self.data(call, end, data),
            Frame::Trailers { call, headers } => {
                self.known(call)?;
                let state = self.calls.get_mut(&call).filter(|state| state.failed.is_none());
                let Some(state) = state else { return Ok(()) };
                if state.incoming.ended || self.role == Role::Server || !state.incoming.begun {
                    return Err(LaneError::Protocol("trailers where none belong"));
                }
                state.incoming.trailers = Some(headers);
                self.end_incoming(call);
                Ok(())
            }
            Frame::Reset { call, code } => {
                self.known(call)?;
                self.reset_by_peer(call, Reason::from(code));
                Ok(())
            }
            Frame::Credit { call: 0, amount } => {
                self.credit = self.credit.saturating_add(i64::from(amount));
                self.pump_queue();
                Ok(())
            }
            Frame::Credit { call, amount } => {
                self.known(call)?;
                if let Some(state) = self.calls.get_mut(&call) {
                    state.outgoing.credit = state.outgoing.credit.saturating_add(i64::from(amount));
                    self.pump(call);
                }
                Ok(())
            }
            Frame::GoAway { last, code } => {
                let error = LaneError::GoAway(Reason::from(code));
                if self.role == Role::Client {
                    for (_, state) in self.calls.iter_mut().filter(|(call, _)| **call > last) {
                        state.fail(error.clone(), &mut self.wake);
                    }
                    self.wake.append(&mut self.waiting_callers);
                }
                self.going_away = Some(error);
                Ok(())
            }
            Frame::Ping(number) => {
                self.provoke(&Frame::Pong(number));
                Ok(())
            }
            Frame::Pong(LAST_CALLS) if self.closing == Closing::Asked => {
                self.closing = Closing::Final;
                self.send(&Frame::GoAway { last: self.last_opened, code: 0 });
                Ok(())
            }
            Frame::Pong(number) => {
                self.pongs = self.pongs.max(number.min(self.pings));
                self.wake.extend(self.pong_waker.take());
                Ok(())
            }
        }
    }

    fn opened(
        &mut self,
        peer: &Hello,
        call: u32,
        end: bool,
        path: PathAndQuery,
        headers: HeaderMap,
    ) -> Result<(), LaneError> {
        if self.role == Role::Client || call <= self.last_opened {
            return Err(LaneError::Protocol("a call with a number that it may not use"));
        }
        self.last_opened = call;
        if self.closing == Closing::Final {
            return Ok(());
        }
        // Calls that have ended for the peer may still be here for a moment.
        if self.calls.len() >= (self.own.max_calls as usize).saturating_mul(2) {
            self.provoke(&Frame::Reset { call, code: Reason::REFUSED_STREAM.into() });
            return Ok(());
        }
        let mut state = Call::new(self.own.call_credit, peer.call_credit);
        state.incoming.begun = true;
        state.incoming.ended = end;
        self.calls.insert(call, state);
        self.accepted.push_back(Accepted { call, path, headers });
        Ok(())
    }

    fn responded(
        &mut self,
        call: u32,
        end: bool,
        status: StatusCode,
        headers: HeaderMap,
    ) -> Result<(), LaneError> {
        self.known(call)?;
        if self.role == Role::Server {
            return Err(LaneError::Protocol("a response to a server"));
        }
        if let Some(counts) = &self.counts {
            counts.responded();
        }
        let state = self.calls.get_mut(&call).filter(|state| state.failed.is_none());
        let Some(state) = state else { return Ok(()) };
        if state.incoming.begun {
            return Err(LaneError::Protocol("a second response to a call"));
        }
        state.incoming.begun = true;
        state.incoming.head = Some((status, headers));
        self.wake.extend(state.incoming.waker.take());
        if end {
            self.end_incoming(call);
        }
        Ok(())
    }

    fn data(&mut self, call: u32, end: bool, data: Bytes) -> Result<(), LaneError> {
        self.known(call)?;
        let length = data.len();
        if length == 0 && !end {
            return Err(LaneError::Protocol("a frame without data"));
        }
        if !self.granted.spend(length) {
            return Err(LaneError::Protocol("more data than its credit for the connection allows"));
        }
        let Some(state) = self.calls.get_mut(&call).filter(|state| state.failed.is_none()) else {
            // The call has ended here in the meantime.
            self.read_on_connection(length);
            return Ok(());
        };
        let incoming = &mut state.incoming;
        if incoming.ended || !incoming.begun {
            return Err(LaneError::Protocol("data where none belongs"));
        }
        if !incoming.granted.spend(length) {
            return Err(LaneError::Protocol("more data than its credit for the call allows"));
        }
        if let Some(counts) = &self.counts {
            counts.messages_received(incoming.messages.count(&data));
        }
        let discarded = incoming.discarded;
        if !discarded && length > 0 {
            incoming.data.push_back(data);
            self.wake.extend(incoming.waker.take());
        }
        if discarded {
            self.read_on_connection(length);
        }
        if end {
            self.end_incoming(call);
        }
        Ok(())
    }

    /// Frames may arrive for a call that has ended here, and not for one that was never opened.
    fn known(&self, call: u32) -> Result<(), LaneError> {
        if call > self.last_opened {
            return Err(LaneError::Protocol("a frame for a call that was never opened"));
        }
        Ok(())
    }

    fn end_incoming(&mut self, call: u32) {
        if let Some(state) = self.calls.get_mut(&call) {
            state.incoming.ended = true;
            self.wake.extend(state.incoming.waker.take());
        }
        self.remove_if_over(call);
    }

    fn reset_by_peer(&mut self, call: u32, reason: Reason) {
        if let Some(counts) = self.counts.as_ref().filter(|_| self.role == Role::Client) {
            counts.responded();
        }
        let Some(state) = self.calls.get_mut(&call) else { return };
        if state.incoming.ended {
            // The response is complete. The rest of the call's own messages is not wanted.
            state.outgoing.drop_waiting();
            state.outgoing.closed = true;
            state.outgoing.ended = true;
            let wakers = [state.outgoing.waker.take(), state.reset_waker.take()];
            self.wake.extend(wakers.into_iter().flatten());
            if self.role == Role::Server {
                state.failed = Some(LaneError::Reset { reason, by_peer: true });
            }
        } else {
            state.fail(LaneError::Reset { reason, by_peer: true }, &mut self.wake);
        }
        self.remove_if_over(call);
    }

    /// Begins a call. Returns its number.
    pub(super) fn open(
        &mut self,
        path: &PathAndQuery,
        headers: &HeaderMap,
        end: bool,
    ) -> Result<u32, LaneError> {
        let peer = self.usable()?;
        let Some(call) = self.last_opened.checked_add(1) else {
            // All numbers are used up. Another connection has more.
            self.going_away = Some(LaneError::GoAway(Reason::NO_ERROR));
            return Err(LaneError::GoAway(Reason::NO_ERROR));
        };
        let mut frame = BytesMut::new();
        frame::put_open(&mut frame, call, end, path, headers);
        if frame.len() - frame::FRAME_HEADER > peer.max_headers as usize {
            return Err(LaneError::HeadersTooLong);
        }
        self.output.put(|out| out.unsplit(frame));
        self.last_opened = call;
        let mut state = Call::new(self.own.call_credit, peer.call_credit);
        (state.outgoing.ended, state.outgoing.closed) = (end, end);
        self.calls.insert(call, state);
        Ok(call)
    }

    /// Waits until another call may be opened.
    pub(super) fn poll_open(&mut self, cx: &Context<'_>) -> Poll<Result<(), LaneError>> {
        let peer = self.usable()?;
        if self.calls.len() < peer.max_calls as usize {
            return Poll::Ready(Ok(()));
        }
        self.waiting_callers.push(cx.waker().clone());
        Poll::Pending
    }

    fn usable(&self) -> Result<Hello, LaneError> {
        if let Some(error) = self.ended.as_ref().or(self.going_away.as_ref()) {
            return Err(error.clone());
        }
        self.peer.ok_or(LaneError::Protocol("no limits"))
    }

    /// Begins a response.
    pub(super) fn respond(&mut self, call: u32, status: StatusCode, headers: &HeaderMap, end: bool) {
        let Some(peer) = self.peer else { return };
        let Some(state) = self.calls.get_mut(&call).filter(|state| state.failed.is_none()) else { return };
        let mut frame = BytesMut::new();
        frame::put_headers(&mut frame, call, end, status, headers);
        if frame.len() - frame::FRAME_HEADER > peer.max_headers as usize {
            self.reset(call, Reason::INTERNAL_ERROR);
            return;
        }
        self.output.put(|out| out.unsplit(frame));
        if end {
            (state.outgoing.ended, state.outgoing.closed) = (true, true);
            self.remove_if_over(call);
        }
    }

    /// Hands data over. It is sent as credit and room allow. Returns false if the call takes none.
    pub(super) fn send_data(&mut self, call: u32, data: Bytes, end: bool) -> bool {
        let Some(state) = self.calls.get_mut(&call) else { return false };
        if state.failed.is_some() || state.outgoing.closed {
            return false;
        }
        if !data.is_empty() {
            if let Some(counts) = &self.counts {
                counts.messages_sent(state.outgoing.messages.count(&data));
            }
            state.outgoing.length += data.len();
            state.outgoing.waiting.push_back(data);
        }
        if end {
            state.outgoing.end = Some(End::Flag);
            state.outgoing.closed = true;
        }
        self.pump(call);
        true
    }

    /// Ends a response. The trailers follow the data that was handed over before.
    pub(super) fn send_trailers(&mut self, call: u32, trailers: HeaderMap) {
        let Some(state) = self.calls.get_mut(&call) else { return };
        if state.failed.is_none() && !state.outgoing.closed {
            state.outgoing.end = Some(End::Trailers(trailers));
            state.outgoing.closed = true;
            self.pump(call);
        }
    }

    /// Moves the data of a call to the output, as far as credit and room allow.
    fn pump(&mut self, call: u32) {
        let Some(peer) = self.peer else { return };
        let Some(state) = self.calls.get_mut(&call).filter(|state| state.failed.is_none()) else { return };
        let outgoing = &mut state.outgoing;
        while let Some(data) = outgoing.waiting.front_mut() {
            let own = affordable(outgoing.credit);
            if own == 0 {
                // The credit of the call brings it back.
                return;
            }
            let room = affordable(self.credit);
            if room == 0 || self.output.len() >= HIGH {
                if !outgoing.queued {
                    outgoing.queued = true;
                    self.queue.push_back(call);
                }
                return;
            }
            let length = data.len().min(own).min(room).min(peer.max_frame as usize);
            let part = data.split_to(length);
            if data.is_empty() {
                outgoing.waiting.pop_front();
            }
            outgoing.length -= length;
            let paid = i64::from(cost(length).unwrap_or(0));
            outgoing.credit -= paid;
            self.credit -= paid;
            let last = outgoing.waiting.is_empty() && matches!(outgoing.end, Some(End::Flag));
            self.output.put(|out| frame::put_data_header(out, call, last, length));
            self.output.put_data(part);
            if last {
                outgoing.end = None;
                outgoing.ended = true;
            }
        }
        match outgoing.end.take() {
            None => {}
            Some(End::Flag) => {
                self.output.put(|out| frame::put_data_header(out, call, true, 0));
                outgoing.ended = true;
            }
            Some(End::Trailers(trailers)) => {
                let mut frame = BytesMut::new();
                frame::put_trailers(&mut frame, call, &trailers);
                if frame.len() - frame::FRAME_HEADER > peer.max_headers as usize {
                    self.reset(call, Reason::INTERNAL_ERROR);
                    return;
                }
                self.output.put(|out| out.unsplit(frame));
                outgoing.ended = true;
            }
        }
        self.wake.extend(outgoing.waker.take());
        if outgoing.ended {
            self.finish_response(call);
        }
    }

    /// Moves the data of the calls that wait, one frame or more of each in turn.
    pub(super) fn pump_queue(&mut self) {
        for _ in 0..self.queue.len() {
            if self.output.len() >= HIGH || affordable(self.credit) == 0 {
                return;
            }
            let Some(call) = self.queue.pop_front() else { return };
            if let Some(state) = self.calls.get_mut(&call) {
                state.outgoing.queued = false;
                self.pump(call);
            }
        }
    }

    /// Waits until a call has room for more data. `None` if it takes none.
    pub(super) fn poll_room(&mut self, call: u32, cx: &Context<'_>) -> Poll<Option<()>> {
        let Some(state) = self.calls.get_mut(&call) else { return Poll::Ready(None) };
        if state.failed.is_some() || state.outgoing.closed {
            return Poll::Ready(None);
        }
        if state.outgoing.length == 0 {
            return Poll::Ready(Some(()));
        }
        state.outgoing.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Waits until the call has failed or takes no more data.
    pub(super) fn poll_reset(&mut self, call: u32, cx: &Context<'_>) -> Poll<()> {
        match self.calls.get_mut(&call) {
            Some(state) if state.failed.is_none() && !(state.outgoing.ended && state.incoming.ended) => {
                state.reset_waker = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// Takes the beginning of a response.
    pub(super) fn poll_response(
        &mut self,
        call: u32,
        cx: &Context<'_>,
    ) -> Poll<Result<(StatusCode, HeaderMap), LaneError>> {
        let Some(state) = self.calls.get_mut(&call) else {
            return Poll::Ready(Err(self.ended.clone().unwrap_or(LaneError::Protocol("no response"))));
        };
        if let Some(head) = state.incoming.head.take() {
            return Poll::Ready(Ok(head));
        }
        if let Some(error) = &state.failed {
            return Poll::Ready(Err(error.clone()));
        }
        state.incoming.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Takes the next data of a body.
    pub(super) fn poll_data(
        &mut self,
        call: u32,
        cx: &Context<'_>,
    ) -> Poll<Option<Result<Bytes, LaneError>>> {
        let Some(state) = self.calls.get_mut(&call) else { return Poll::Ready(None) };
        let Some(data) = state.incoming.data.pop_front() else {
            if state.incoming.ended {
                return Poll::Ready(None);
            }
            if let Some(error) = &state.failed {
                return Poll::Ready(Some(Err(error.clone())));
            }
            state.incoming.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        // A body that has ended needs no more credit.
        let more = state.incoming.granted.read(data.len()).filter(|_| !state.incoming.ended);
        if let Some(amount) = more {
            self.send(&Frame::Credit { call, amount });
        }
        self.read_on_connection(data.len());
        Poll::Ready(Some(Ok(data)))
    }

    /// Takes the trailers of a body that has ended.
    pub(super) fn take_trailers(&mut self, call: u32) -> Option<HeaderMap> {
        self.calls.get_mut(&call)?.incoming.trailers.take()
    }

    /// Whether nothing of a body is left to be read.
    pub(super) fn is_end_stream(&self, call: u32) -> bool {
        self.calls.get(&call).is_none_or(|state| {
            state.incoming.ended && state.incoming.data.is_empty() && state.incoming.trailers.is_none()
        })
    }

    /// Takes note that a body is not read any more.
    pub(super) fn discard(&mut self, call: u32) {
        let Some(state) = self.calls.get_mut(&call) else { return };
        state.incoming.discarded = true;
        let lengths: Vec<usize> = state.incoming.data.drain(..).map(|data| data.len()).collect();
        for length in lengths {
            self.read_on_connection(length);
        }
    }

    /// Takes note that a handle of a call is gone. A call without handles is cancelled, unless everything was handed over.
    pub(super) fn drop_handle(&mut self, call: u32) {
        let Some(state) = self.calls.get_mut(&call) else { return };
        state.handles = state.handles.saturating_sub(1);
        if state.handles > 0 {
            return;
        }
        if state.is_over() {
            self.remove_if_over(call);
        } else if state.outgoing.closed && (self.role == Role::Server || state.incoming.ended) {
            // The rest of the body is still sent.
            self.finish_response(call);
        } else {
            self.reset(call, Reason::CANCEL);
        }
    }

    /// Removes a call of which everything has been sent and that has no handles. The peer learns that its own
    /// messages are not wanted any more.
    fn finish_response(&mut self, call: u32) {
        let Some(state) = self.calls.get(&call) else { return };
        if state.handles == 0 && state.outgoing.ended && !state.incoming.ended && self.role == Role::Server {
            self.reset(call, Reason::NO_ERROR);
        } else {
            self.remove_if_over(call);
        }
    }

    /// Resets a call.
    pub(super) fn reset(&mut self, call: u32, reason: Reason) {
        let Some(state) = self.calls.get_mut(&call) else { return };
        if !state.is_over() {
            state.fail(LaneError::Reset { reason, by_peer: false }, &mut self.wake);
            self.send(&Frame::Reset { call, code: reason.into() });
        }
        self.discard(call);
        self.remove_if_over(call);
    }

    fn remove_if_over(&mut self, call: u32) {
        if self.calls.get(&call).is_some_and(|state| state.handles == 0 && state.is_over()) {
            self.discard(call);
            self.calls.remove(&call);
            self.idle |= self.calls.is_empty();
            self.wake.append(&mut self.waiting_callers);
        }
    }

    fn read_on_connection(&mut self, length: usize) {
        if let Some(amount) = self.granted.read(length) {
            self.send(&Frame::Credit { call: 0, amount });
        }
    }

    /// Sends a ping. Returns its number.
    pub(super) fn ping(&mut self) -> u64 {
        self.pings += 1;
        self.send(&Frame::Ping(self.pings));
        self.pings
    }

    /// Waits for the answer to a ping.
    pub(super) fn poll_pong(&mut self, number: u64, cx: &Context<'_>) -> Poll<()> {
        if self.pongs >= number {
            return Poll::Ready(());
        }
        self.pong_waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Whether the connection is to be closed when no call is left.
    pub(super) fn closes_when_idle(&self) -> bool {
        self.abandoned || self.going_away.is_some() || self.closing != Closing::No
    }

    /// Asks the peer to make no further calls.
    pub(super) fn close(&mut self) {
        if self.closing == Closing::No {
            self.closing = Closing::Asked;
            self.send(&Frame::GoAway { last: u32::MAX, code: 0 });
            self.send(&Frame::Ping(LAST_CALLS));
        }
    }

    /// Reports a fault of the peer, as the last frame.
    pub(super) fn accuse(&mut self, error: &LaneError) {
        let code = error.reason().unwrap_or(Reason::INTERNAL_ERROR).into();
        self.send(&Frame::GoAway { last: self.last_opened, code });
    }

    /// Ends the connection: fails its calls.
    pub(super) fn end(&mut self, error: LaneError) {
        if self.ended.is_some() {
            return;
        }
        // A peer that has named a fault closes the connection for that.
        let error = match &self.going_away {
            Some(LaneError::GoAway(reason)) if *reason != Reason::NO_ERROR => LaneError::GoAway(*reason),
            _ => error,
        };
        self.ended = Some(error.clone());
        self.output = Output::default();
        self.queue.clear();
        for state in self.calls.values_mut() {
            if !(state.incoming.ended && self.role == Role::Client) {
                state.fail(error.clone(), &mut self.wake);
            } else {
                state.outgoing.drop_waiting();
                (state.outgoing.closed, state.outgoing.ended) = (true, true);
                let wakers = [state.outgoing.waker.take(), state.reset_waker.take()];
                self.wake.extend(wakers.into_iter().flatten());
            }
        }
        self.calls.retain(|_, state| state.handles > 0);
        self.wake.append(&mut self.waiting_callers);
        self.wake.extend(self.pong_waker.take());
        self.counts = None;
    }

    fn send(&mut self, frame: &Frame) {
        self.output.put(|out| frame::encode(frame, out));
    }

    /// Sends a frame that the peer has provoked.
    fn provoke(&mut self, frame: &Frame) {
        let before = self.output.len();
        self.send(frame);
        self.provoked += self.output.len() - before;
    }
}

/// How many bytes may wait in the output before data waits in its calls.
const HIGH: usize = 256 << 10;

/// How many bytes a peer may provoke before it has to read.
const MAX_PROVOKED: usize = 64 << 10;

/// The number of the ping whose answer follows the last calls of the peer.
const LAST_CALLS: u64 = u64::MAX;
