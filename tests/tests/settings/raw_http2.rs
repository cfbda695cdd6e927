//! What one side of an HTTP/2 connection says of itself, read off the wire.

use std::{collections::HashMap, io};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// The settings that a peer announced, by their numbers, and by how much it widened the window of the connection.
#[derive(Debug, Default)]
pub(crate) struct Announced {
    settings: HashMap<u16, u32>,
    widened: u32,
}

/// The window of a connection that nobody widened.
const INITIAL_WINDOW: u32 = 65_535;

impl Announced {
    /// Reads frames until both the settings and the window are known. A client speaks first.
    pub(crate) async fn read(
        mut io: impl AsyncRead + AsyncWrite + Unpin,
        as_client: bool,
    ) -> io::Result<Self> {
        if as_client {
            io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
        } else {
            io.read_exact(&mut [0; 24]).await?;
        }
        // An empty SETTINGS frame of our own.
        io.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
        let mut announced = Self::default();
        while announced.settings.is_empty() || announced.widened == 0 {
            let mut header = [0; 9];
            io.read_exact(&mut header).await?;
            let length = usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
            let mut payload = vec![0; length];
            io.read_exact(&mut payload).await?;
            match header[3] {
                4 => announced.settings.extend(payload.chunks_exact(6).map(setting)),
                8 => announced.widened = u32::from_be_bytes(payload[..4].try_into().unwrap()),
                _ => {}
            }
        }
        Ok(announced)
    }

    /// SETTINGS_INITIAL_WINDOW_SIZE.
    pub(crate) fn stream_window(&self) -> u32 {
        self.settings[&4]
    }

    /// The window of the whole connection.
    pub(crate) fn connection_window(&self) -> u32 {
        INITIAL_WINDOW + self.widened
    }

    /// SETTINGS_MAX_HEADER_LIST_SIZE.
    pub(crate) fn max_headers(&self) -> u32 {
        self.settings[&6]
    }

    /// SETTINGS_MAX_FRAME_SIZE.
    pub(crate) fn max_frame(&self) -> u32 {
        self.settings[&5]
    }
}

/// The frames that a client sends to a server that never answers.
#[derive(Debug)]
pub(crate) struct Frames(UnixStream);

impl Frames {
    /// Takes the client's preface, and says nothing but what HTTP/2 demands.
    pub(crate) async fn accept(mut io: UnixStream) -> io::Result<Self> {
        io.read_exact(&mut [0; 24]).await?;
        io.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
        Ok(Self(io))
    }

    /// Counts PING frames, answering none, until the client hangs up.
    pub(crate) async fn count_pings(&mut self) -> usize {
        let mut pings = 0;
        let mut header = [0; 9];
        while self.0.read_exact(&mut header).await.is_ok() {
            let length = usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
            if self.0.read_exact(&mut vec![0; length]).await.is_err() {
                break;
            }
            pings += usize::from(header[3] == 6 && header[4] & 1 == 0);
        }
        pings
    }
}

fn setting(bytes: &[u8]) -> (u16, u32) {
    (u16::from_be_bytes([bytes[0], bytes[1]]), u32::from_be_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]))
}
