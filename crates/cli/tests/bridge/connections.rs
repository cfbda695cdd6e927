//! The connections of a bridge: every byte, every close, and as many as there are.

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    thread,
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    bridged::{Stub, TIMEOUT},
    program::eventually,
};

/// Bytes without a short period.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn bytes_arrive_in_both_directions_and_in_order() {
    let stub = Stub::new();
    let mut bridge = stub.bridge();
    let (mut host, plugin) = stub.connect(&bridge.address());
    let sent = noise(8 << 20);
    // The plugin sends back what it receives.
    let echo = thread::spawn(move || std::io::copy(&mut plugin.try_clone().unwrap(), &mut &plugin).unwrap());
    let writer = thread::spawn({
        let (mut host, sent) = (host.try_clone().unwrap(), sent.clone());
        move || host.write_all(&sent).unwrap()
    });
    let mut received = vec![0; sent.len()];
    host.read_exact(&mut received).unwrap();
    writer.join().unwrap();
    assert!(received == sent, "the bytes differ");
    drop(host);
    assert_eq!(echo.join().unwrap(), sent.len() as u64);
}

#[test]
fn a_direction_that_one_side_closes_is_closed_for_the_other_and_the_other_direction_goes_on() {
    let stub = Stub::new();
    let mut bridge = stub.bridge();
    let address = bridge.address();

    let (mut host, mut plugin) = stub.connect(&address);
    host.write_all(b"question").unwrap();
    host.shutdown(Shutdown::Write).unwrap();
    let mut question = String::new();
    plugin.read_to_string(&mut question).unwrap();
    plugin.write_all(b"answer").unwrap();
    drop(plugin);
    let mut answer = String::new();
    host.read_to_string(&mut answer).unwrap();
    assert_eq!((question.as_str(), answer.as_str()), ("question", "answer"));

    let (mut host, mut plugin) = stub.connect(&address);
    plugin.write_all(b"greeting").unwrap();
    plugin.shutdown(Shutdown::Write).unwrap();
    let mut greeting = String::new();
    host.read_to_string(&mut greeting).unwrap();
    host.write_all(b"thanks").unwrap();
    drop(host);
    let mut thanks = String::new();
    plugin.read_to_string(&mut thanks).unwrap();
    assert_eq!((greeting.as_str(), thanks.as_str()), ("greeting", "thanks"));
}

#[test]
fn a_host_that_vanishes_closes_the_connection_of_the_plugin() {
    let stub = Stub::new();
    let mut bridge = stub.bridge();
    let (host, mut plugin) = stub.connect(&bridge.address());
    plugin.write_all(b"unread").unwrap();
    eventually(|| (host.peek(&mut [0; 6]).unwrap() == 6).then_some(()));
    // The close of a socket with unread bytes is a reset.
    drop(host);
    // The plugin does not read, and learns of the end by writing.
    plugin.set_write_timeout(Some(TIMEOUT)).unwrap();
    let error = loop {
        if let Err(error) = plugin.write_all(&[0; 4096]) {
            break error;
        }
    };
    assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
}

#[test]
fn a_slow_reader_stops_the_writer_and_loses_nothing() {
    let stub = Stub::new();
    let mut bridge = stub.bridge();
    let (mut host, mut plugin) = stub.connect(&bridge.address());
    let before = bridge.memory();
    // The writer is stopped when it makes no progress.
    plugin.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    let chunk = noise(64 << 10);
    let mut sent = Vec::new();
    let stopped = loop {
        match plugin.write(&chunk) {
            Ok(written) => sent.extend_from_slice(&chunk[..written]),
            Err(error) => break error,
        }
        assert!(sent.len() < 256 << 20, "the writer is not stopped");
    };
    assert_eq!(stopped.kind(), ErrorKind::WouldBlock, "{stopped}");
    let grown = bridge.memory().saturating_sub(before);
    assert!(grown < 8 << 20, "the bridge keeps {grown} bytes");
    let reader = thread::spawn(move || {
        let mut received = Vec::new();
        host.read_to_end(&mut received).unwrap();
        received
    });
    drop(plugin);
    assert!(reader.join().unwrap() == sent, "the bytes differ");
}

#[test]
fn a_thousand_connections_come_and_go_and_leave_no_descriptor() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    if maximum.is_some_and(|maximum| maximum < 4096) {
        return eprintln!("skipped: this user may open {maximum:?} files at once");
    }
    let stub = Stub::new();
    // The bridge starts with the usual limit of open files.
    setrlimit(Resource::Nofile, Rlimit { current: Some(1024), maximum }).unwrap();
    let mut bridge = stub.bridge();
    let address = bridge.address();
    setrlimit(Resource::Nofile, Rlimit { current: Some(4096), maximum }).unwrap();
    // The plugin closes its stdout. The bridge closes its own stdout, and the pipe of the plugin some time later.
    assert_eq!(bridge.line(), "");
    let before = bridge.descriptors();
    for _ in 0..2 {
        let mut pairs: Vec<(TcpStream, UnixStream)> = Vec::new();
        for number in 0..1000_u32 {
            let (mut host, plugin) = stub.connect(&address);
            host.write_all(&number.to_be_bytes()).unwrap();
            pairs.push((host, plugin));
        }
        assert!(bridge.descriptors() >= 2000, "a connection has two descriptors");
        for (number, (host, plugin)) in pairs.iter_mut().enumerate() {
            let mut received = [0; 4];
            plugin.read_exact(&mut received).unwrap();
            plugin.write_all(&received).unwrap();
            host.read_exact(&mut received).unwrap();
            assert_eq!(u32::from_be_bytes(received) as usize, number);
        }
        drop(pairs);
        eventually(|| (bridge.descriptors() <= before).then_some(()));
    }
}

#[test]
fn a_connection_that_the_plugin_refuses_is_closed_and_later_ones_are_carried() {
    let stub = Stub::new();
    let mut bridge = stub.bridge();
    let address = bridge.address();
    fs::remove_file(&stub.socket).unwrap();
    let mut refused = TcpStream::connect(&address).unwrap();
    refused.set_read_timeout(Some(TIMEOUT)).unwrap();
    assert_eq!(refused.read(&mut [0; 1]).unwrap(), 0);
    eventually(|| bridge.stderr().contains("the plugin does not accept a connection").then_some(()));
    let listener = UnixListener::bind(&stub.socket).unwrap();
    let mut host = TcpStream::connect(&address).unwrap();
    host.write_all(b"!").unwrap();
    let mut byte = [0; 1];
    listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"!");
}
