//! Multiplexed connections. A session ends with its connection, whatever the peer sends, and streams carry their bytes in order.

use std::{collections::HashMap, time::Duration};

use rpcplugin_yamux::{Config, Session, Stream};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
    time::sleep,
};

use crate::{input::Input, memory};

/// The role of this side, and the bytes of a peer in pieces.
pub(crate) fn yamux(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let client = input.flag();
    memory::run(session(client, input));
}

/// A session whose streams are echoed. It reads these bytes and then loses its connection.
async fn session(client: bool, mut input: Input<'_>) {
    let (near, far) = tokio::io::duplex(1 << 16);
    let session = if client {
        Session::client(near, Config::default())
    } else {
        Session::server(near, Config::default())
    };
    let (mut replies, mut requests) = tokio::io::split(far);
    let drain = tokio::spawn(async move {
        let mut reply = Vec::new();
        let _ = replies.read_to_end(&mut reply).await;
        reply
    });
    let mut streams = JoinSet::new();
    let length = input.rest().len();
    let serve = async {
        if client {
            // The first frames of the peer may refer to these streams.
            for _ in 0..2 {
                if let Ok(stream) = session.open().await {
                    streams.spawn(echo(stream));
                }
            }
        }
        while let Some(stream) = session.accept().await {
            streams.spawn(echo(stream));
        }
    };
    let feed = async move {
        while !input.is_empty() {
            let _ = requests.write_all(input.piece()).await;
            tokio::task::yield_now().await;
        }
        let _ = requests.shutdown().await;
    };
    tokio::join!(serve, feed);
    while streams.join_next().await.is_some() {}
    session.closed().await;
    drop(session);
    let reply = drain.await.expect("no panic");
    // Each frame of the peer is answered with one or two of this side, and the rest are pings and data that is echoed.
    assert!(reply.len() <= 4096 + 4 * length, "{} bytes answer {length}", reply.len());
}

/// Echoes a stream.
async fn echo(stream: Stream) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let _ = tokio::io::copy(&mut reader, &mut writer).await;
    let _ = writer.shutdown().await;
}

/// Four bytes with the settings, and then what the client does, two bytes each.
pub(crate) fn yamux_pair(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let room = 32 + usize::from(input.byte()) * 32;
    let send_buffer = 1 + usize::from(input.byte()) * 64;
    let max_frame = 16 + usize::from(input.byte()) * 64;
    let config =
        Config::default().with_send_buffer(send_buffer).with_max_frame(max_frame).with_backlog(MOST_STREAMS);
    let delay = Duration::from_millis(input.byte().into());
    memory::run(pair((room, max_frame), config, delay, input));
}

/// Writes on several streams of one session, and reads them in another.
async fn pair((room, max_frame): (usize, usize), config: Config, delay: Duration, mut input: Input<'_>) {
    let (near, far) = tokio::io::duplex(room);
    let (client, server) = (Session::client(near, config.clone()), Session::server(far, config));
    let reading = tokio::spawn(async move {
        let mut streams = JoinSet::new();
        while let Some(mut stream) = server.accept().await {
            streams.spawn(async move {
                // Meanwhile the window of the stream may be used up.
                sleep(delay).await;
                let mut all = Vec::new();
                let ended = stream.read_to_end(&mut all).await;
                // Its length goes back, so that both directions are used.
                let _ = stream.write_all(&(all.len() as u64).to_be_bytes()).await;
                let _ = stream.shutdown().await;
                ended.map(|_| all)
            });
        }
        streams.join_all().await
    });

    let mut open: Vec<(u8, Stream)> = Vec::new();
    let mut written: HashMap<u8, Vec<u8>> = HashMap::new();
    let (mut next, mut left) = (0, MOST_BYTES);
    while !input.is_empty() && written.len() < MOST_STREAMS && left > 0 {
        let (action, amount) = (input.byte(), input.byte());
        let chosen = usize::from(action >> 2).checked_rem(open.len());
        match (action & 3, chosen) {
            (0, _) | (_, None) => {
                let mut stream = client.open().await.expect("the session is open");
                stream.write_all(&[next]).await.expect("written");
                written.insert(next, vec![next]);
                open.push((next, stream));
                next += 1;
            }
            (1, Some(at)) => {
                let (name, stream) = open.swap_remove(at);
                finish(stream, written[&name].len()).await;
            }
            (2, Some(_)) => sleep(Duration::from_millis(amount.into())).await,
            (_, Some(at)) => {
                let (name, stream) = &mut open[at];
                let all = written.get_mut(name).expect("a known stream");
                let begin = all.len();
                let length = if amount == 255 && max_frame > 4096 {
                    MORE_THAN_A_WINDOW
                } else {
                    usize::from(amount) * 13
                };
                left = left.saturating_sub(length);
                all.extend((0..length).map(|at| ((begin + at) % 251) as u8));
                stream.write_all(&all[begin..]).await.expect("written");
            }
        }
    }
    for (name, stream) in open {
        finish(stream, written[&name].len()).await;
    }
    client.close().await;
    for read in reading.await.expect("no panic") {
        let read = read.expect("a stream ends as it was ended");
        assert_eq!(written.remove(&read[0]), Some(read), "the bytes are in their order");
    }
    assert!(written.is_empty(), "each stream has been accepted");
}

/// Ends a stream, and waits for the length that the peer has read.
async fn finish(mut stream: Stream, length: usize) {
    stream.shutdown().await.expect("shut down");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    assert_eq!(answer, (length as u64).to_be_bytes());
}

const MOST_STREAMS: usize = 40;

/// How many bytes one input writes, apart from its last write.
const MOST_BYTES: usize = 16 << 10;

/// More bytes than the window of a stream.
const MORE_THAN_A_WINDOW: usize = 300 << 10;
