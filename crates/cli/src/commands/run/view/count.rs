//! Counts the calls on a connection while its bytes pass.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::state::CallCounts;
use crate::commands::tap::{Calls, Found, Sender, What, value};

/// The counts of all connections.
#[derive(Debug, Default)]
pub(super) struct Counters {
    begun: AtomicU64,
    failed: AtomicU64,
    open: AtomicU64,
    hosts: AtomicU64,
}

/// The calls on one connection. Dropping this ends the calls that are open.
#[derive(Debug)]
pub(super) struct CountedConnection {
    counters: Arc<Counters>,
    calls: Mutex<(Calls, HashSet<u32>)>,
}

impl Counters {
    pub(super) fn read(&self) -> CallCounts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CallCounts {
            begun: load(&self.begun),
            failed: load(&self.failed),
            open: load(&self.open),
            hosts: load(&self.hosts),
        }
    }
}

impl CountedConnection {
    pub(super) fn of(counters: Arc<Counters>) -> Self {
        counters.hosts.fetch_add(1, Ordering::Relaxed);
        // No message is kept.
        Self { counters, calls: Mutex::new((Calls::new(0), HashSet::new())) }
    }

    /// Reads the next bytes of one direction.
    pub(super) fn read(&self, sender: Sender, bytes: &[u8]) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let (calls, open) = &mut *calls;
        for found in calls.read(sender, bytes).found {
            self.count(&found, open);
        }
    }

    fn count(&self, found: &Found, open: &mut HashSet<u32>) {
        let Some(call) = found.call else { return };
        let Counters { begun, failed, open: all_open, .. } = &*self.counters;
        let has_failed = match &found.what {
            What::Call { .. } => {
                if is_counted(&found.method) && open.insert(call) {
                    begun.fetch_add(1, Ordering::Relaxed);
                    all_open.fetch_add(1, Ordering::Relaxed);
                }
                return;
            }
            What::Status { trailers, .. } => value(trailers, "grpc-status").is_none_or(|code| code != "0"),
            What::Reset { .. } => true,
            _ => return,
        };
        if open.remove(&call) {
            all_open.fetch_sub(1, Ordering::Relaxed);
            failed.fetch_add(has_failed.into(), Ordering::Relaxed);
        }
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        let (_, open) = self.calls.get_mut().unwrap_or_else(PoisonError::into_inner);
        let cut = open.len() as u64;
        self.counters.open.fetch_sub(cut, Ordering::Relaxed);
        self.counters.failed.fetch_add(cut, Ordering::Relaxed);
        self.counters.hosts.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether a call is one of the application, and not of a service that every plugin has.
fn is_counted(method: &str) -> bool {
    !NOT_COUNTED.iter().any(|prefix| method.starts_with(prefix))
}

/// The services of go-plugin, health and reflection.
const NOT_COUNTED: [&str; 4] = ["/plugin.", "/grpc.health.", "/grpc.reflection.", "/rpcplugin."];

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of HTTP/2.
    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    /// Headers without compression, in a frame that ends them.
    fn headers(stream: u32, ends: bool, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).unwrap());
                block.extend_from_slice(text.as_bytes());
            }
        }
        frame(1, 4 | u8::from(ends), stream, &block)
    }

    fn begin(stream: u32, path: &str) -> Vec<u8> {
        headers(stream, true, &[(":method", "POST"), (":path", path)])
    }

    #[test]
    fn calls_of_the_application_are_counted_with_their_end() {
        let counters = Arc::new(Counters::default());
        let connection = CountedConnection::of(counters.clone());
        connection.read(Sender::Client, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        for (stream, path) in [(1, "/kv.Kv/Put"), (3, "/grpc.health.v1.Health/Check"), (5, "/kv.Kv/Get")] {
            // Bytes come in any pieces.
            for byte in begin(stream, path) {
                connection.read(Sender::Client, &[byte]);
            }
        }
        assert_eq!(counters.read(), CallCounts { begun: 2, failed: 0, open: 2, hosts: 1 });
        for (stream, status) in [(1, "0"), (3, "0"), (5, "13")] {
            let trailers = headers(stream, true, &[(":status", "200"), ("grpc-status", status)]);
            connection.read(Sender::Server, &trailers);
        }
        assert_eq!(counters.read(), CallCounts { begun: 2, failed: 1, open: 0, hosts: 1 });
        connection.read(Sender::Client, &begin(7, "/kv.Kv/Watch"));
        connection.read(Sender::Client, &frame(3, 0, 7, &[0, 0, 0, 8]));
        connection.read(Sender::Client, &begin(9, "/kv.Kv/Watch"));
        assert_eq!(counters.read(), CallCounts { begun: 4, failed: 2, open: 1, hosts: 1 });
        drop(connection);
        assert_eq!(counters.read(), CallCounts { begun: 4, failed: 3, open: 0, hosts: 0 });
    }

    #[test]
    fn bytes_that_are_not_http2_are_no_calls() {
        let counters = Arc::new(Counters::default());
        let connection = CountedConnection::of(counters.clone());
        connection.read(Sender::Client, b"GET / HTTP/1.1\r\n\r\n");
        connection.read(Sender::Server, &[0xff; 100]);
        assert_eq!(counters.read(), CallCounts { hosts: 1, ..CallCounts::default() });
    }
}
