//! The calls on one connection.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    frames::{Frames, Part},
    headers::{Header, value},
    messages::{Message, Messages},
};

/// The end of a connection that sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Sender {
    /// The end that has opened the connection and makes calls.
    Client,
    Server,
}

/// What one direction of a connection has shown.
#[derive(Debug)]
pub(in crate::commands) struct Found {
    /// The number of the call on its connection. `None` for the whole connection.
    pub(in crate::commands) call: Option<u32>,
    /// The path of the method.
    pub(in crate::commands) method: Arc<str>,
    pub(in crate::commands) what: What,
}

#[derive(Debug)]
pub(in crate::commands) enum What {
    Call {
        headers: Vec<Header>,
    },
    Headers {
        headers: Vec<Header>,
    },
    Message(Message),
    /// The client sends no more messages.
    HalfClosed,
    /// The server has ended the call with a status.
    Status {
        trailers: Vec<Header>,
        took: Duration,
    },
    Reset {
        code: u32,
        took: Duration,
    },
    GoAway {
        code: u32,
    },
    /// The bytes of this direction cannot be read.
    Opaque,
}

/// What to do with the bytes that were read.
#[derive(Debug, Default)]
pub(in crate::commands) struct Scanned {
    pub(in crate::commands) found: Vec<Found>,
    /// From which position the bytes must be kept, because a message of the broker is not complete.
    pub(in crate::commands) hold: Option<u64>,
}

/// The calls on one connection, of which both directions are read.
#[derive(Debug)]
pub(in crate::commands) struct Calls {
    /// The longest message that is kept.
    kept: usize,
    client: Frames,
    server: Frames,
    open: HashMap<u32, Call>,
    /// The numbers of the calls to the broker.
    brokers: Vec<u32>,
    reported: [bool; 2],
}

#[derive(Debug)]
struct Call {
    method: Arc<str>,
    begun: Instant,
    requests: Messages,
    responses: Messages,
    has_headers: bool,
    half_closed: bool,
}

impl Calls {
    /// Reads calls, and keeps messages up to this length.
    pub(in crate::commands) fn new(kept: usize) -> Self {
        Self {
            kept,
            client: Frames::of_client(),
            server: Frames::of_server(),
            open: HashMap::new(),
            brokers: Vec::new(),
            reported: [false; 2],
        }
    }

    /// Reads the next bytes of one direction.
    pub(in crate::commands) fn read(&mut self, sender: Sender, bytes: &[u8]) -> Scanned {
        // A server answers in the language of its client.
        if sender == Sender::Server && self.client.is_opaque() {
            return Scanned::default();
        }
        let Self { kept, client, server, open, brokers, reported } = self;
        let mut scanned = Scanned::default();
        let (frames, reported) = match sender {
            Sender::Client => (client, &mut reported[0]),
            Sender::Server => (server, &mut reported[1]),
        };
        frames.read(bytes, |part| take((open, *kept), brokers, sender, part, &mut scanned.found));
        if frames.is_opaque() {
            if !std::mem::replace(reported, true) {
                scanned.found.push(Found { call: None, method: "".into(), what: What::Opaque });
            }
            return scanned;
        }
        let begun = brokers.iter().filter_map(|stream| {
            let call = open.get(stream)?;
            match sender {
                Sender::Client => call.requests.begun(),
                Sender::Server => call.responses.begun(),
            }
        });
        scanned.hold = begun.min();
        scanned
    }
}

/// Takes one part of a direction.
fn take(
    (open, kept): (&mut HashMap<u32, Call>, usize),
    brokers: &mut Vec<u32>,
    sender: Sender,
    part: Part<'_>,
    found: &mut Vec<Found>,
) {
    let (stream, ends) = match &part {
        Part::Headers { stream, ends, .. } => (*stream, *ends),
        Part::Data { stream, .. } => (*stream, false),
        Part::End { stream } => (*stream, true),
        Part::Reset { stream, .. } => (*stream, true),
        Part::GoAway { code } => {
            let what = What::GoAway { code: *code };
            found.push(Found { call: None, method: "".into(), what });
            return;
        }
    };
    let is_reset = matches!(part, Part::Reset { .. });
    if let (Sender::Client, Part::Headers { fields, .. }) = (sender, &part)
        && !open.contains_key(&stream)
    {
        let method: Arc<str> = value(fields, ":path").unwrap_or_default().into();
        if &*method == BROKER {
            brokers.push(stream);
        }
        open.insert(stream, Call::new(method.clone(), kept));
        let what = What::Call { headers: fields.clone() };
        found.push(Found { call: Some(stream), method, what });
    } else {
        let Some(call) = open.get_mut(&stream) else { return };
        call.take(stream, sender, part, found);
    }
    let Some(call) = open.get_mut(&stream) else { return };
    match sender {
        _ if is_reset => {}
        Sender::Client if ends && !call.half_closed => {
            call.half_closed = true;
            found.push(Found { call: Some(stream), method: call.method.clone(), what: What::HalfClosed });
        }
        Sender::Server if ends => {}
        _ => return,
    }
    if is_reset || sender == Sender::Server {
        open.remove(&stream);
        brokers.retain(|broker| *broker != stream);
    }
}

impl Call {
    fn new(method: Arc<str>, kept: usize) -> Self {
        Self {
            method,
            begun: Instant::now(),
            requests: Messages::new(kept),
            responses: Messages::new(kept),
            has_headers: false,
            half_closed: false,
        }
    }

    fn take(&mut self, stream: u32, sender: Sender, part: Part<'_>, found: &mut Vec<Found>) {
        let (method, took) = (self.method.clone(), self.begun.elapsed());
        let mut report = |what| found.push(Found { call: Some(stream), method: method.clone(), what });
        match part {
            Part::Data { bytes, at, .. } => {
                let messages = match sender {
                    Sender::Client => &mut self.requests,
                    Sender::Server => &mut self.responses,
                };
                let is_request = sender == Sender::Client;
                messages.read(bytes, at, |message| report(What::Message(Message { is_request, ..message })));
            }
            // A response without messages has its status in its only headers.
            Part::Headers { fields, ends: true, .. } if sender == Sender::Server => {
                report(What::Status { trailers: fields, took });
            }
            Part::Headers { fields, .. } if sender == Sender::Server && !self.has_headers => {
                // Responses between requests and headers, as 100, are not the headers of a call.
                self.has_headers = !value(&fields, ":status").is_some_and(|status| status.starts_with('1'));
                report(What::Headers { headers: fields });
            }
            Part::Headers { fields, .. } => report(What::Headers { headers: fields }),
            Part::End { .. } if sender == Sender::Server => {
                report(What::Status { trailers: Vec::new(), took });
            }
            Part::Reset { code, .. } => report(What::Reset { code, took }),
            Part::End { .. } | Part::GoAway { .. } => {}
        }
    }
}

/// The method of the broker.
pub(in crate::commands) const BROKER: &str = "/plugin.GRPCBroker/StartStream";
