//! An HTTP/2 peer that follows a script of frames.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use rpcplugin_transport::{
    SecureStream, Security, Stream,
    http2::{ChannelError, Connect},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    sync::watch,
    time::timeout,
};

pub(crate) const DATA: u8 = 0;
const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
/// Not an HTTP/2 frame: closes the connection, or waits.
const OF_THE_SCRIPT: u8 = 0xff;

const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// Flags of headers that more frames follow.
pub(crate) const CONTINUES: u8 = 0;

/// A frame: kind, flags, stream and payload.
pub(crate) type Frame = (u8, u8, u32, Vec<u8>);

/// Closes the connection.
pub(crate) const HANG_UP: Frame = (OF_THE_SCRIPT, 0, 0, Vec::new());

/// Waits before the next frame.
pub(crate) fn pause(time: Duration) -> Frame {
    (OF_THE_SCRIPT, 1, u32::try_from(time.as_millis()).expect("short"), Vec::new())
}

/// The frames that a peer sends for each call, by the number of the connection and of the stream, when the whole call
/// has arrived.
#[derive(Clone)]
pub(crate) struct Script(Arc<dyn Fn(usize, u32) -> Vec<Frame> + Send + Sync>);

impl Script {
    pub(crate) fn each(answer: impl Fn(u32) -> Vec<Frame> + Send + Sync + 'static) -> Self {
        Self::connections(move |_, stream| answer(stream))
    }

    pub(crate) fn connections(answer: impl Fn(usize, u32) -> Vec<Frame> + Send + Sync + 'static) -> Self {
        Self(Arc::new(answer))
    }
}

/// Connects to a peer, which starts anew for each connection.
#[derive(Clone)]
pub(crate) struct Peer {
    script: Script,
    settings: Vec<u8>,
    pongs: bool,
    dialled: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
    received: Arc<watch::Sender<Vec<u8>>>,
}

impl Peer {
    pub(crate) fn new(script: Script) -> Self {
        Self {
            script,
            settings: Vec::new(),
            pongs: true,
            dialled: Arc::default(),
            requests: Arc::default(),
            received: Arc::new(watch::channel(Vec::new()).0),
        }
    }

    pub(crate) fn with_settings(mut self, settings: &[(u16, u32)]) -> Self {
        for (name, value) in settings {
            self.settings.extend(name.to_be_bytes());
            self.settings.extend(value.to_be_bytes());
        }
        self
    }

    pub(crate) fn without_pongs(mut self) -> Self {
        self.pongs = false;
        self
    }

    /// How many connections were opened.
    pub(crate) fn dialled(&self) -> usize {
        self.dialled.load(Relaxed)
    }

    /// The messages that arrived, without their prefixes.
    pub(crate) fn requests(&self) -> Vec<Vec<u8>> {
        self.requests.lock().expect("no panic").clone()
    }

    /// Waits until a frame of this kind has arrived.
    pub(crate) async fn receives(&self, kind: u8) {
        let mut received = self.received.subscribe();
        let receiving = received.wait_for(|received| received.contains(&kind));
        timeout(Duration::from_secs(60), receiving)
            .await
            .expect("the frame arrives")
            .expect("the peer is there");
    }

    async fn run(self, connection: usize, mut io: DuplexStream) -> std::io::Result<()> {
        let mut preface = [0; 24];
        io.read_exact(&mut preface).await?;
        write(&mut io, &(SETTINGS, 0, 0, self.settings.clone())).await?;
        loop {
            let mut head = [0; 9];
            io.read_exact(&mut head).await?;
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let (kind, flags) = (head[3], head[4]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let mut payload = vec![0; length];
            io.read_exact(&mut payload).await?;
            self.received.send_modify(|received| received.push(kind));
            match kind {
                SETTINGS if flags & ACK == 0 => write(&mut io, &(SETTINGS, ACK, 0, Vec::new())).await?,
                PING if flags & ACK == 0 && self.pongs => write(&mut io, &(PING, ACK, 0, payload)).await?,
                DATA if payload.len() > 5 => {
                    self.requests.lock().expect("no panic").push(protobuf(&payload[5..]));
                }
                _ => {}
            }
            if !matches!(kind, DATA | HEADERS) || flags & END_STREAM == 0 {
                continue;
            }
            for frame in (self.script.0)(connection, stream) {
                match frame {
                    (OF_THE_SCRIPT, 0, ..) => return io.shutdown().await,
                    (OF_THE_SCRIPT, _, time, _) => {
                        tokio::time::sleep(Duration::from_millis(u64::from(time))).await;
                    }
                    frame => write(&mut io, &frame).await?,
                }
            }
        }
    }
}

impl Connect for Peer {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        let connection = self.dialled.fetch_add(1, Relaxed);
        let (near, far) = tokio::io::duplex(1 << 16);
        tokio::spawn(self.clone().run(connection, far));
        Ok(Security::Plain.client(Stream::other(near)).await?)
    }
}

async fn write(io: &mut DuplexStream, (kind, flags, stream, payload): &Frame) -> std::io::Result<()> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], *kind, *flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    io.write_all(&frame).await
}

/// Returns the bytes in a message with one field of bytes: tag 1, length, bytes.
fn protobuf(message: &[u8]) -> Vec<u8> {
    message.get(2..).unwrap_or_default().to_vec()
}

/// Returns a message with its prefix.
pub(crate) fn message(bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![0x0a];
    assert!(bytes.len() < 128);
    message.push(u8::try_from(bytes.len()).expect("short"));
    message.extend(bytes);
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    [&[0][..], &length, &message].concat()
}

/// Returns the header block of a response, in RFC 7541's literals.
pub(crate) fn response_headers(status: &str, kind: &str) -> Vec<u8> {
    let mut block = literal(":status", status.as_bytes());
    block.extend(literal("content-type", kind.as_bytes()));
    block
}

fn literal(name: &str, value: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).ok().filter(|len| *len < 127).expect("short");
    [&[0, length(name.as_bytes())][..], name.as_bytes(), &[length(value)], value].concat()
}

pub(crate) fn headers(stream: u32, block: Vec<u8>, flags: u8) -> Frame {
    (HEADERS, END_HEADERS | flags, stream, block)
}

/// Returns the trailers of a response, after other headers or alone.
pub(crate) fn trailers(stream: u32, before: &[u8], fields: &[(&str, &[u8])]) -> Frame {
    let mut block = before.to_vec();
    for (name, value) in fields {
        block.extend(literal(name, value));
    }
    headers(stream, block, END_STREAM)
}

fn ok_trailers(stream: u32) -> Frame {
    trailers(stream, &[], &[("grpc-status", b"0")])
}

/// Returns a whole response.
pub(crate) fn answer(stream: u32, bytes: &[u8]) -> Vec<Frame> {
    vec![
        headers(stream, response_headers("200", "application/grpc"), CONTINUES),
        (DATA, 0, stream, message(bytes)),
        ok_trailers(stream),
    ]
}

/// Returns a GOAWAY with the id of the last call that is processed.
pub(crate) fn goaway(last: u32, reason: u32, words: &[u8]) -> Frame {
    let payload = [&last.to_be_bytes()[..], &reason.to_be_bytes(), words].concat();
    (GOAWAY, 0, 0, payload)
}
