//! Calls that end before their peer has sent or read everything do not end the connection.
//!
//! The tests write each frame themselves: the client of a library sends frames that cross with a reset only by chance,
//! on a busy machine.

use std::{net::Ipv4Addr, time::Duration};

use rpcplugin_core::Endpoint;
use rpcplugin_transport::{
    Listener, Security, Services,
    http2::{self, Serving},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A client that sends and reads frames.
struct Frames {
    stream: TcpStream,
    next_stream: u32,
    /// The bytes that are written together before the next read.
    unsent: Vec<u8>,
}

impl Frames {
    /// Starts a server without services, which refuses every call at once, and connects to it.
    async fn of_a_refusing_server() -> (Self, CancellationToken) {
        let listener = Listener::tcp(Ipv4Addr::LOCALHOST.into(), 0..=0).await.expect("a free port");
        let Endpoint::Tcp(address) = listener.endpoint().clone() else { panic!("it was asked for TCP") };
        let shutdown = CancellationToken::new();
        let serving = Serving::new(Services::new(), Security::Plain, shutdown.clone());
        tokio::spawn(http2::serve(listener, serving));
        let stream = TcpStream::connect(address.to_string()).await.expect("it listens");
        let unsent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let mut this = Self { stream, next_stream: 1, unsent };
        this.send(SETTINGS, 0, 0, &[]);
        (this, shutdown)
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
        self.unsent.extend([length[1], length[2], length[3], kind, flags]);
        self.unsent.extend(stream.to_be_bytes());
        self.unsent.extend(payload);
    }

    /// Opens a call without an end, and returns its stream.
    fn open_call(&mut self) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        // POST http :path :authority content-type te, by RFC 7541's static table and literals.
        let mut block = vec![0x83, 0x86];
        for (name, value) in
            [(&[0x04][..], "/none/None"), (&[0x01], "localhost"), (&[0x0f, 0x10], "application/grpc")]
        {
            block.extend(name);
            block.push(u8::try_from(value.len()).expect("a short value"));
            block.extend(value.as_bytes());
        }
        block.extend(b"\x00\x02te\x08trailers");
        self.send(HEADERS, END_HEADERS, stream, &block);
        stream
    }

    /// Reads until so many frames of a kind have arrived.
    async fn read_until(&mut self, kind: u8, mut count: usize) {
        while count > 0 {
            self.stream.write_all(&self.unsent).await.expect("the server is there");
            self.unsent.clear();
            let mut head = [0; 9];
            let reading = timeout(Duration::from_secs(20), self.stream.read_exact(&mut head)).await;
            reading.expect("the next frame in time").expect("the connection goes on");
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let mut payload = vec![0; length];
            self.stream.read_exact(&mut payload).await.expect("a whole frame");
            assert_ne!(head[3], GOAWAY, "the server hangs up: {}", String::from_utf8_lossy(&payload));
            if head[3] == SETTINGS && head[4] & ACK == 0 {
                self.send(SETTINGS, ACK, 0, &[]);
            }
            count -= usize::from(head[3] == kind);
        }
    }

    /// Checks that the connection is open.
    async fn ping(&mut self) {
        self.send(PING, 0, 0, &[7; 8]);
        self.read_until(PING, 1).await;
    }
}

#[tokio::test]
async fn late_frames_of_refused_calls_are_ignored() {
    let (mut client, _shutdown) = Frames::of_a_refusing_server().await;
    for _ in 0..30 {
        let mut calls = Vec::new();
        for _ in 0..100 {
            calls.push(client.open_call());
        }
        client.read_until(RST_STREAM, 100).await;
        for call in calls {
            client.send(0, END_STREAM, call, &[0; 5]);
        }
        client.ping().await;
    }
}

#[tokio::test]
async fn many_cancelled_calls_do_not_end_the_connection() {
    let (mut client, _shutdown) = Frames::of_a_refusing_server().await;
    for _ in 0..10 {
        // The server reads all these bytes at once, before it starts the first call.
        for _ in 0..500 {
            let call = client.open_call();
            client.send(RST_STREAM, 0, call, &8_u32.to_be_bytes());
        }
        client.ping().await;
    }
}
