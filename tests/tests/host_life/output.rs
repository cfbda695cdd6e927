//! The output and the logs of plugins.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use rpcplugin::{
    Plugin,
    config::ByteSize,
    hclog::{Level, Piece},
    host::{
        Event, Events, ExitReason, LogRecord, OutputOptions, OutputSource, OutputStream, OverflowPolicy,
        Writers,
    },
};
use rpcplugin_tests::{
    pb::{
        EchoRequest, ExitRequest, LogField, LogLineRequest, PanicRequest, WriteStdioRequest, log_field::Value,
    },
    support::{
        TIMEOUT,
        conformance::{client, kit},
        process::send,
    },
};
use rustix::process::Signal;
use tokio::time::timeout;

use crate::support::{TestHost, hostile};

/// A writer whose clones share the bytes.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

async fn print(plugin: &Plugin, stdout: &[u8], stderr: &[u8], raw_stderr: &[u8]) {
    let request = WriteStdioRequest {
        stdout: stdout.to_vec(),
        stderr: stderr.to_vec(),
        raw_stderr: raw_stderr.to_vec(),
    };
    timeout(TIMEOUT, client(plugin).write_stdio(request)).await.unwrap().unwrap();
}

/// The next record whose message contains this.
async fn record(events: &mut Events, text: &str) -> Arc<LogRecord> {
    let found = async {
        loop {
            match events.next().await.unwrap().event {
                Event::Log(record) if record.message.contains(text) => return record,
                _ => {}
            }
        }
    };
    timeout(TIMEOUT, found).await.unwrap()
}

#[tokio::test]
async fn printed_bytes_arrive_exactly_in_writers_streams_and_raw_taps() {
    let (stdout, stderr, raw) = (Shared::default(), Shared::default(), Shared::default());
    let writers =
        Writers::new().with_stdout(stdout.clone()).with_stderr(stderr.clone()).with_raw_stderr(raw.clone());
    let test_host = TestHost::configured(|host| host.observe(writers));
    let mut options = OutputOptions::default();
    options.raw = true;
    options.capacity = 4 << 20;
    let mut output = test_host.host.output(options);
    let plugin = test_host.launch(kit()).await;

    let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n ^ (n >> 8)) as u8).collect();
    print(&plugin, &bytes, b"one\ntwo", b"straight to the log\n").await;
    plugin.shut_down().await;
    drop(test_host);

    let mut seen = [Vec::new(), Vec::new(), Vec::new()];
    while let Some(chunk) = output.next().await {
        match chunk.source {
            OutputSource::Stdout => seen[0].extend_from_slice(&chunk.bytes),
            OutputSource::Stderr => seen[1].extend_from_slice(&chunk.bytes),
            OutputSource::RawStderr => seen[2].extend_from_slice(&chunk.bytes),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(output.missed(), 0);
    assert!(stdout.bytes() == bytes && seen[0] == bytes);
    assert_eq!((&*stderr.bytes(), &*seen[1]), (&b"one\ntwo"[..], &b"one\ntwo"[..]));
    assert_eq!(raw.bytes(), seen[2]);
    assert!(String::from_utf8_lossy(&seen[2]).contains("straight to the log\n"));
}

/// poll refuses to wait for more descriptors than a process may open.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_output_of_a_plugin_that_may_open_no_file_arrives() {
    use rpcplugin::Exit;
    use rpcplugin_tests::support::wait::eventually;
    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

    let stdout = Shared::default();
    let test_host = TestHost::configured(|host| host.observe(Writers::new().with_stdout(stdout.clone())));
    let plugin = test_host.launch(kit()).await;
    let pid = plugin.pid().unwrap().get().cast_signed();
    let mut expected = Vec::new();
    let mut arrives = async |text: &[u8]| {
        print(&plugin, text, b"", b"").await;
        expected.extend_from_slice(text);
        eventually("the output arrives", || stdout.bytes() == expected).await;
    };
    arrives(b"with descriptors, ").await;
    let none = Rlimit { current: Some(0), ..getrlimit(Resource::Nofile) };
    let before = prlimit(Pid::from_raw(pid), Resource::Nofile, none).unwrap();
    arrives(b"without, ").await;
    // More than a pipe holds.
    arrives(&vec![b'x'; 1 << 20]).await;
    prlimit(Pid::from_raw(pid), Resource::Nofile, before).unwrap();
    arrives(b"with them again, ").await;
    prlimit(Pid::from_raw(pid), Resource::Nofile, none).unwrap();
    print(&plugin, b"and at the end", b"", b"").await;
    assert_eq!(plugin.shut_down().await, Exit::Clean);
    assert!(stdout.bytes().ends_with(b"again, and at the end"));
}

#[tokio::test]
async fn a_late_subscriber_gets_earlier_output() {
    let test_host = TestHost::new();
    let plugin = test_host.launch(kit()).await;
    print(&plugin, b"early", b"", b"").await;
    let mut first = plugin.output(OutputOptions::default());
    let chunk = timeout(TIMEOUT, first.next()).await.unwrap().unwrap();
    assert_eq!((chunk.source, &*chunk.bytes), (OutputSource::Stdout, &b"early"[..]));
    assert_eq!(chunk.plugin, plugin.id());
    let mut copied = Vec::new();
    print(&plugin, b"later", b"not this", b"").await;
    plugin.shut_down().await;
    first.copy_to(OutputSource::Stdout, &mut copied).await.unwrap();
    assert_eq!(copied, b"later");
}

#[tokio::test]
async fn a_sleeping_reader_loses_output_and_delays_nothing() {
    let test_host = TestHost::new();
    for when_full in [
        OverflowPolicy::DropOldest,
        OverflowPolicy::DropNewest,
        OverflowPolicy::Wait(Duration::from_millis(1)),
    ] {
        let plugin = test_host.launch(kit()).await;
        let mut options = OutputOptions::default();
        options.capacity = 10_000;
        options.when_full = when_full;
        let mut sleeping = plugin.output(options);
        print(&plugin, b"the beginning", b"", b"").await;
        print(&plugin, &vec![b'x'; 1 << 20], b"", b"").await;
        print(&plugin, b"the end", b"", b"").await;
        plugin.shut_down().await;
        let mut kept = Vec::new();
        while let Some(chunk) = sleeping.next().await {
            kept.extend_from_slice(&chunk.bytes);
        }
        assert!(sleeping.missed() > 0);
        if when_full == OverflowPolicy::DropOldest {
            assert!(kept.ends_with(b"the end") && !kept.starts_with(b"the beginning"));
        } else {
            assert!(kept.starts_with(b"the beginning"), "{when_full:?}");
        }
    }
}

#[tokio::test]
async fn records_keep_level_module_and_fields() {
    let test_host = TestHost::new();
    let plugin = test_host.launch(kit()).await;
    let mut events = plugin.events();
    let field = |key: &str, value| LogField { key: key.to_owned(), value: Some(value) };
    let line = LogLineRequest {
        level: "warn".to_owned(),
        message: "disk is nearly full".to_owned(),
        fields: vec![
            field("path", Value::Text("/var".to_owned())),
            field("left", Value::Number(12)),
            field("mounted", Value::Flag(true)),
        ],
        module: "disk.watch".to_owned(),
    };
    client(&plugin).log_line(line).await.unwrap();
    let received = record(&mut events, "nearly full").await;
    assert_eq!((received.level, received.module.as_deref()), (Level::Warn, Some("disk.watch")));
    let fields: Vec<_> =
        received.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(fields, [("path", "\"/var\""), ("left", "12"), ("mounted", "true")]);
    assert_eq!(received.plugin, plugin.id());
    assert!(received.timestamp.is_some() && !received.is_panic);
    plugin.shut_down().await;
}

#[tokio::test]
async fn a_panic_is_one_record() {
    let test_host = TestHost::new();
    let plugin = test_host.launch(kit()).await;
    let mut events = plugin.events();
    let text = b"panic: it broke\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:12 +0x1d\n";
    print(&plugin, b"", b"", text).await;
    // No line follows, so that a pause ends the record.
    let received = record(&mut events, "it broke").await;
    assert!(received.is_panic && received.level == Level::Error);
    assert_eq!(received.message.lines().count(), 5, "{}", received.message);

    let dying = client(&plugin).panic(PanicRequest { message: "out of ideas".to_owned() }).await;
    dying.unwrap_err();
    let received = record(&mut events, "out of ideas").await;
    assert!(received.message.starts_with("panic: ") && received.level == Level::Error, "{received:?}");
    assert!(plugin.stderr_tail().iter().any(|line| line.contains("out of ideas")));
}

#[tokio::test]
async fn long_lines_are_cut_into_marked_pieces_and_the_tail_is_bounded() {
    let test_host = TestHost::configured(|host| {
        host.configure(|config| {
            config.log_line_limit = ByteSize::kib(1);
            config.stderr_tail_lines = 3;
            config.stderr_tail_bytes = ByteSize::bytes(100);
        })
    });
    let plugin = test_host.launch(kit()).await;
    let mut events = plugin.events();
    let line = format!("[WARN] {}\nafter it\n", "y".repeat(2500));
    print(&plugin, b"", b"", line.as_bytes()).await;
    let mut pieces = Vec::new();
    while pieces.len() < 3 {
        let received = record(&mut events, "yyy").await;
        assert_eq!(received.level, Level::Warn);
        pieces.push(received.piece);
    }
    assert_eq!(pieces, [Piece::First, Piece::Continued, Piece::Last]);
    record(&mut events, "after it").await;
    let mut tail = plugin.stderr_tail();
    // The plugin also logs at trace level: a record of its broker may follow the line.
    for _ in 0..10 {
        if tail.last().is_some_and(|line| line == "after it") {
            break;
        }
        print(&plugin, b"", b"", b"after it\n").await;
        record(&mut events, "after it").await;
        tail = plugin.stderr_tail();
    }
    assert_eq!(tail.last().map(String::as_str), Some("after it"));
    assert!(tail.iter().map(String::len).sum::<usize>() <= 110, "{tail:?}");
    plugin.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_continue_during_a_flood_and_memory_is_bounded() {
    let test_host = TestHost::new();
    let plugin = test_host.launch(hostile("flood:48")).await;
    let mut events = plugin.events();
    let before = resident();
    let mut calls = client(&plugin);
    let mut answered = 0;
    let calling = async {
        loop {
            timeout(TIMEOUT, calls.echo(EchoRequest { data: b"x".to_vec().into() })).await.unwrap().unwrap();
            answered += 1;
        }
    };
    let flooded = async {
        loop {
            // The reader is slower than the flood, so that records are dropped.
            tokio::time::sleep(Duration::from_millis(1)).await;
            match events.next().await.unwrap().event {
                Event::Log(record) if record.message.contains("the flood is over") => return,
                _ => {}
            }
        }
    };
    tokio::select! {
        never = calling => never,
        () = async { timeout(4 * TIMEOUT, flooded).await.unwrap() } => {}
    }
    assert!(answered > 0 && events.missed() > 0, "{answered} calls, {} missed", events.missed());
    let grown = resident().saturating_sub(before);
    // All records of the flood would need more.
    assert!(grown < 100 << 20, "{} MiB more than before", grown >> 20);
    assert!(plugin.stderr_tail().len() <= 50);
    plugin.shut_down().await;
}

/// A plugin that exited after it had printed `last line` on its stderr, and its output, which is not read: more output than
/// a pipe holds comes before the last line.
async fn last_line_unread(test_host: &TestHost) -> (Plugin, OutputStream) {
    let mut options = OutputOptions::default();
    options.raw = true;
    options.capacity = 1;
    options.when_full = OverflowPolicy::Wait(2 * TIMEOUT);
    let plugin = test_host.launch(kit()).await;
    let output = plugin.output(options);
    // The reader blocks at the first chunk, and the rest stays in the pipe.
    print(&plugin, b"", b"", &b"a line of many\n".repeat(1000)).await;
    print(&plugin, b"", b"", b"last line\n").await;
    client(&plugin).exit(ExitRequest { code: 3 }).await.unwrap_err();
    while plugin.ended().is_none() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    (plugin, output)
}

/// Reads until the last line.
async fn read_last_line(output: &mut OutputStream) {
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("last line") {
        let chunk = timeout(TIMEOUT, output.next()).await.unwrap().expect("the plugin has printed it");
        if chunk.source == OutputSource::RawStderr {
            heard.extend_from_slice(&chunk.bytes);
        }
    }
}

#[tokio::test]
async fn the_exit_is_reported_after_the_last_output() {
    let test_host = TestHost::configured(|host| host.configure(|config| config.drain_timeout = 4 * TIMEOUT));
    let (plugin, mut output) = last_line_unread(&test_host).await;
    let mut events = plugin.events();
    let mut waiting = std::pin::pin!(plugin.wait());
    let early = timeout(Duration::ZERO, &mut waiting).await;
    assert!(early.is_err(), "the last line has not been read");
    let mut exited = std::pin::pin!(async {
        loop {
            if let Event::Exited { reason } = events.next().await.unwrap().event {
                return reason;
            }
        }
    });
    assert!(timeout(Duration::ZERO, &mut exited).await.is_err(), "the exit is not reported");
    read_last_line(&mut output).await;
    let read_on = async { while output.next().await.is_some() {} };
    tokio::select! {
        // The output ends only with the handle of the plugin.
        () = read_on => panic!("the output has not ended"),
        received = async { timeout(TIMEOUT, async { (waiting.await, exited.await) }).await.unwrap() } => {
            assert_eq!(received, (ExitReason::Status(3), ExitReason::Status(3)));
        }
    }
    assert!(plugin.stderr_tail().iter().any(|line| line == "last line"));
}

#[tokio::test]
async fn the_last_output_is_read_after_the_handle_is_dropped() {
    let test_host = TestHost::configured(|host| host.configure(|config| config.drain_timeout = 4 * TIMEOUT));
    let (plugin, mut output) = last_line_unread(&test_host).await;
    drop(plugin);
    read_last_line(&mut output).await;
}

#[tokio::test]
async fn a_process_that_holds_the_pipes_open_delays_nothing() {
    let test_host =
        TestHost::configured(|host| host.configure(|config| config.drain_timeout = Duration::from_millis(1)));
    let plugin = test_host.launch(hostile("grandchild")).await;
    let mut events = plugin.events();
    client(&plugin).exit(ExitRequest { code: 3 }).await.unwrap_err();
    assert_eq!(timeout(TIMEOUT, plugin.wait()).await.unwrap(), ExitReason::Status(3));
    let received = record_of_grandchild(&plugin);
    while !matches!(events.next().await.unwrap().event, Event::Exited { .. }) {}
    send(received, Signal::KILL);
}

/// The process that the plugin left behind, from its log.
fn record_of_grandchild(plugin: &Plugin) -> u32 {
    let tail = plugin.stderr_tail();
    tail.iter().find_map(|line| line.split_once("grandchild ")?.1.trim().parse().ok()).unwrap()
}

/// The memory of this process in bytes, that of concurrent tests included.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}
