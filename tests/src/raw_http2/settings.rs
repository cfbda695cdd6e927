//! The settings and pings of an HTTP/2 peer, read from the wire.

use std::{collections::HashMap, io};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The HTTP/2 settings of a peer.
#[derive(Debug, Default)]
pub struct PeerSettings {
    settings: HashMap<u16, u32>,
    /// The first WINDOW_UPDATE of the connection.
    widened: u32,
}

/// The window of a connection without a WINDOW_UPDATE.
const INITIAL_WINDOW: u32 = 65_535;

impl PeerSettings {
    /// Reads frames until both the settings and the window of the connection are known.
    ///
    /// As a client, writes the preface first; as a server, reads that of the peer.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn read(mut io: impl AsyncRead + AsyncWrite + Unpin, as_client: bool) -> io::Result<Self> {
        if as_client {
            io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
        } else {
            io.read_exact(&mut [0; 24]).await?;
        }
        // An empty SETTINGS frame.
        io.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
        let mut peer = Self::default();
        while peer.settings.is_empty() || peer.widened == 0 {
            let mut header = [0; 9];
            io.read_exact(&mut header).await?;
            let length = usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
            let mut payload = vec![0; length];
            io.read_exact(&mut payload).await?;
            match header[3] {
                4 => peer.settings.extend(payload.chunks_exact(6).map(setting)),
                8 => peer.widened = u32::from_be_bytes(payload[..4].try_into().map_err(io::Error::other)?),
                _ => {}
            }
        }
        Ok(peer)
    }

    /// SETTINGS_INITIAL_WINDOW_SIZE.
    #[must_use]
    pub fn stream_window(&self) -> u32 {
        self.settings[&4]
    }

    /// The window of the whole connection.
    #[must_use]
    pub fn connection_window(&self) -> u32 {
        INITIAL_WINDOW + self.widened
    }

    /// SETTINGS_MAX_HEADER_LIST_SIZE.
    #[must_use]
    pub fn max_headers(&self) -> u32 {
        self.settings[&6]
    }

    /// SETTINGS_MAX_FRAME_SIZE.
    #[must_use]
    pub fn max_frame(&self) -> u32 {
        self.settings[&5]
    }
}

/// A server that answers no call and no ping.
#[derive(Debug)]
pub struct SilentServer<Io>(Io);

impl<Io: AsyncRead + AsyncWrite + Unpin> SilentServer<Io> {
    /// Reads the preface of a client, and writes empty settings.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn accept(mut io: Io) -> io::Result<Self> {
        io.read_exact(&mut [0; 24]).await?;
        io.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
        Ok(Self(io))
    }

    /// Counts PING frames until the client closes the connection.
    pub async fn count_pings(&mut self) -> usize {
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
