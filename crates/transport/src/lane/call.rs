//! The state of one call on a connection.

use std::{collections::VecDeque, task::Waker};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::{credit::Granted, error::LaneError, messages::Messages};

/// A call, on either side.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) incoming: Incoming,
    pub(super) outgoing: Outgoing,
    /// Why the call failed. What arrived before is read first.
    pub(super) failed: Option<LaneError>,
    /// Waits for the failure alone.
    pub(super) reset_waker: Option<Waker>,
    /// How many handles of this side the call has: one that reads and one that writes.
    pub(super) handles: u8,
}

/// The body that arrives.
#[derive(Debug)]
pub(super) struct Incoming {
    /// The beginning of the response.
    pub(super) head: Option<(StatusCode, HeaderMap)>,
    /// Whether the response has begun.
    pub(super) begun: bool,
    pub(super) data: VecDeque<Bytes>,
    pub(super) trailers: Option<HeaderMap>,
    pub(super) ended: bool,
    /// Whether the body is not read any more.
    pub(super) discarded: bool,
    pub(super) granted: Granted,
    pub(super) waker: Option<Waker>,
    pub(super) messages: Messages,
}

/// The body that is sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Data that waits for credit or room.
    pub(super) waiting: VecDeque<Bytes>,
    /// The length of `waiting`.
    pub(super) length: usize,
    /// The end of the body, which follows `waiting`.
    pub(super) end: Option<End>,
    /// Whether the end has been handed over by the caller.
    pub(super) closed: bool,
    /// Whether the end is in the output.
    pub(super) ended: bool,
    /// How much the peer accepts.
    pub(super) credit: i64,
    /// Whether the call is in the queue of calls that wait for room or for credit of the connection.
    pub(super) queued: bool,
    pub(super) waker: Option<Waker>,
    pub(super) messages: Messages,
}

#[derive(Debug)]
pub(super) enum End {
    Flag,
    Trailers(HeaderMap),
}

impl Call {
    pub(super) fn new(granted: u32, credit: u32) -> Self {
        Self {
            incoming: Incoming {
                head: None,
                begun: false,
                data: VecDeque::new(),
                trailers: None,
                ended: false,
                discarded: false,
                granted: Granted::new(granted),
                waker: None,
                messages: Messages::default(),
            },
            outgoing: Outgoing {
                waiting: VecDeque::new(),
                length: 0,
                end: None,
                closed: false,
                ended: false,
                credit: i64::from(credit),
                queued: false,
                waker: None,
                messages: Messages::default(),
            },
            failed: None,
            reset_waker: None,
            handles: 2,
        }
    }

    /// Fails the call, unless it has failed. Nothing more is sent.
    pub(super) fn fail(&mut self, error: LaneError, wake: &mut Vec<Waker>) {
        self.failed.get_or_insert(error);
        self.outgoing.drop_waiting();
        let wakers = [self.incoming.waker.take(), self.outgoing.waker.take(), self.reset_waker.take()];
        wake.extend(wakers.into_iter().flatten());
    }

    /// Whether both bodies have ended, or the call has failed.
    pub(super) fn is_over(&self) -> bool {
        self.failed.is_some() || self.incoming.ended && self.outgoing.ended
    }
}

impl Outgoing {
    pub(super) fn drop_waiting(&mut self) {
        self.waiting.clear();
        self.length = 0;
        self.end = None;
    }
}
