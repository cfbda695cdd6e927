//! The output and the log of a plugin.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::Stdio,
    time::{Duration, Instant},
};

use rpcplugin::PluginChannel;
use rpcplugin_proto::Channel::{Stderr, Stdout};
use rpcplugin_tests::support::wait::eventually;
use tokio::time::timeout;

use crate::subject::{Start, TIMEOUT, channel, entries, greet, read_until, shut_down, stdio, subject};

#[tokio::test]
async fn prints_and_children_reach_the_host() {
    let plugin = subject().start();
    let channel = plugin.channel().await;
    greet(channel.clone(), "print before any host listens").await.unwrap();
    let mut output = stdio(channel.clone()).await;
    read_until(&mut output, Stdout, "before any host listens\n").await;
    greet(channel.clone(), "print äöü").await.unwrap();
    read_until(&mut output, Stderr, "äöü\n").await;
    greet(channel.clone(), "child echo from a child").await.unwrap();
    read_until(&mut output, Stdout, "from a child\n").await;
    greet(channel, "child echo to stderr >&2").await.unwrap();
    read_until(&mut output, Stderr, "to stderr\n").await;
    assert_eq!(plugin.stderr(), "", "the original stderr is for logs");
}

#[tokio::test]
async fn each_of_several_readers_gets_all_output() {
    let plugin = subject().start();
    let channel = plugin.channel().await;
    // The headers arrive with the first output, so both streams are opened at the same time.
    let order = async { greet(channel.clone(), "print first").await.unwrap() };
    let (mut one, mut two, _) = tokio::join!(stdio(channel.clone()), stdio(channel.clone()), order);
    greet(channel.clone(), "print for all").await.unwrap();
    tokio::join!(read_until(&mut one, Stdout, "for all"), read_until(&mut two, Stdout, "for all"));
}

#[tokio::test]
async fn a_hundred_mebibytes_without_a_reader_leave_it_responsive() {
    let plugin = subject().start();
    let channel = plugin.channel().await;
    greet(channel.clone(), &format!("fill {}", 100 << 20)).await.unwrap();
    let mut longest = Duration::ZERO;
    loop {
        let begin = Instant::now();
        let filled: u64 = greet(channel.clone(), "filled").await.unwrap().parse().unwrap();
        longest = longest.max(begin.elapsed());
        if filled >= 100 << 20 {
            break;
        }
    }
    assert!(longest < Duration::from_secs(2), "one call took {longest:?}");
    // The newest output is kept, within bounds: the buffer, a full pipe, and as much in the thread that empties the pipe. A
    // busy machine may not have moved the latter when the reader arrives.
    greet(channel.clone(), "print the very last").await.unwrap();
    let mut output = stdio(channel.clone()).await;
    let kept = read_until(&mut output, Stdout, "the very last").await;
    assert!(kept.len() <= (1 << 20) + 2 * (64 << 10), "{} bytes were kept", kept.len());
    shut_down(channel).await.unwrap();
    plugin.ends_cleanly().await;
}

#[tokio::test]
async fn a_reader_that_stops_delays_it_only_once() {
    let plugin = subject().env("PLUGIN_OUTPUT_TIMEOUT", "200ms").start();
    let channel = plugin.channel().await;
    greet(channel.clone(), "print first").await.unwrap();
    let _never_read = stdio(plugin.channel().await).await;
    greet(channel.clone(), &format!("fill {}", 64 << 20)).await.unwrap();
    let begin = Instant::now();
    while greet(channel.clone(), "filled").await.unwrap().parse::<u64>().unwrap() < 64 << 20 {
        assert!(begin.elapsed() < TIMEOUT, "the prints of the plugin hang");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    shut_down(channel).await.unwrap();
    plugin.ends_cleanly().await;
}

#[tokio::test]
async fn output_of_a_draining_call_reaches_the_host() {
    let plugin = subject().env("PLUGIN_GRPC_GRACE_PERIOD", "20s").start();
    let channel = plugin.channel().await;
    greet(channel.clone(), "print first").await.unwrap();
    let mut output = stdio(channel.clone()).await;
    let call = tokio::spawn(greet(channel.clone(), "print_at_the_end its last words"));
    // The call was sent before, on the same connection.
    shut_down(channel).await.unwrap();
    call.await.unwrap().expect("a call in flight is answered");
    read_until(&mut output, Stdout, "its last words\n").await;
    while timeout(TIMEOUT, output.message()).await.unwrap().expect("a clean end").is_some() {}
    plugin.ends_cleanly().await;
}

#[tokio::test]
async fn a_hook_that_uses_up_the_grace_leaves_time_for_the_output() {
    let start = subject().env("PLUGIN_GRPC_GRACE_PERIOD", "100ms");
    let file = start.path("hook");
    let plugin = start.arg("--hook").arg(file).arg("--hook-after").arg("60000").start();
    let channel = plugin.channel().await;
    greet(channel.clone(), "print to be read to the end").await.unwrap();
    let mut output = stdio(channel.clone()).await;
    shut_down(channel).await.unwrap();
    read_until(&mut output, Stdout, "to be read to the end\n").await;
    while timeout(TIMEOUT, output.message()).await.unwrap().expect("a clean end").is_some() {}
    plugin.ends_cleanly().await;
}

#[tokio::test]
async fn more_than_the_buffer_holds_reaches_a_host_that_reads_to_the_end() {
    let start = subject().env("PLUGIN_OUTPUT_BUFFER", "64KiB").env("PLUGIN_GRPC_GRACE_PERIOD", "20s");
    let plugin = start.start();
    let channel = plugin.channel().await;
    greet(channel.clone(), "print first").await.unwrap();
    let mut output = stdio(channel.clone()).await;
    let mut read = read_until(&mut output, Stdout, "first\n").await.len();
    let reading = tokio::spawn(async move {
        while let Some(chunk) = timeout(TIMEOUT, output.message()).await.unwrap().expect("a clean end") {
            read += if chunk.channel() == Stdout { chunk.data.len() } else { 0 };
        }
        read
    });
    greet(channel.clone(), &format!("fill {FILL}")).await.unwrap();
    while greet(channel.clone(), "filled").await.unwrap().parse::<usize>().unwrap() < FILL {}
    shut_down(channel).await.unwrap();
    assert_eq!(reading.await.unwrap(), "first\n".len() + FILL);
    plugin.ends_cleanly().await;
}

/// The output of a plugin, in bytes: a multiple of its pieces.
const FILL: usize = 3 << 20;

#[tokio::test]
async fn replacing_descriptor_1_does_not_keep_a_thread_busy() {
    let plugin = subject().start();
    let channel = plugin.channel().await;
    greet(channel.clone(), "silence").await.unwrap();
    greet(channel.clone(), "print on the other").await.unwrap();
    let mut output = stdio(channel).await;
    read_until(&mut output, Stderr, "on the other\n").await;
    let tasks = std::path::PathBuf::from(format!("/proc/{}/task", plugin.child.id()));
    let mut sleeps = entries(&tasks).into_iter().filter(|task| {
        std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("rpcplugin-stdio"))
    });
    let thread = sleeps.next().expect("a thread reads the output").join("stat");
    eventually("the thread sleeps", || {
        std::fs::read_to_string(&thread).unwrap().rsplit_once(") ").unwrap().1.starts_with('S')
    })
    .await;
}

#[tokio::test]
async fn log_records_that_are_not_read_are_dropped_and_counted() {
    let start = subject();
    let (mut child, channel) = unread(&start).await;
    let text = "x".repeat(1000);
    let mut logged = 200;
    for _ in 0..logged {
        greet(channel.clone(), &format!("log {text}")).await.expect("the plugin still serves");
    }
    let read = std::thread::spawn({
        let stderr = child.stderr.take().unwrap();
        move || std::io::read_to_string(stderr).unwrap()
    });
    // The first record after a gap reports the number of dropped records. It is written once the reader has made room.
    for _ in 0..100 {
        greet(channel.clone(), "log again").await.unwrap();
        logged += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    shut_down(channel).await.unwrap();
    assert_eq!(crate::subject::ended(&mut child).await.code(), Some(0));
    let records: Vec<serde_json::Value> =
        read.join().unwrap().lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let came = records.iter().filter(|record| record["count"] == 7).count();
    let dropped: u64 = records.iter().filter_map(|record| record["dropped"].as_u64()).sum();
    assert!(dropped > 0);
    assert_eq!(came + usize::try_from(dropped).unwrap(), logged);
}

#[tokio::test]
async fn a_full_buffer_does_not_delay_the_exit() {
    let plugin = subject().env("PLUGIN_OUTPUT_TIMEOUT", "1h").start();
    let channel = plugin.channel().await;
    greet(channel.clone(), "print first").await.unwrap();
    let _never_read = stdio(plugin.channel().await).await;
    greet(channel.clone(), &format!("fill {}", 64 << 20)).await.unwrap();
    shut_down(channel).await.unwrap();
    plugin.ends_cleanly().await;
}

#[tokio::test]
async fn capturing_can_be_switched_off() {
    let mut plugin = subject().env("PLUGIN_CAPTURE_OUTPUT", "false").start();
    let channel = plugin.channel().await;
    greet(channel.clone(), "print plainly").await.unwrap();
    shut_down(channel).await.unwrap();
    plugin.ended().await;
    let mut rest = String::new();
    plugin.stdout.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), plugin.all_stderr().as_str()), ("plainly\n", "plainly\n"));
}

#[tokio::test]
async fn output_before_the_handshake_line_does_not_disturb_it() {
    let plugin = subject().arg("--noisy").start();
    eventually("it goes to stderr", || {
        let stderr = plugin.stderr();
        stderr.contains("an unfinished line before the plugin serves")
            && stderr.contains("a line of debugging\n")
    })
    .await;
}

#[tokio::test]
async fn logs_are_hclog_records_on_the_original_stderr() {
    let plugin = subject().start();
    let channel = plugin.channel().await;
    greet(channel.clone(), "log it works").await.unwrap();
    eventually("the record is written", || plugin.stderr().contains("it works")).await;
    let stderr = plugin.stderr();
    let line = stderr.lines().find(|line| line.contains("it works")).unwrap();
    let record: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!((&record["@level"], &record["@message"]), (&"info".into(), &"it works".into()), "{line}");
    assert_eq!(record["count"], 7, "{line}");
    let timestamp = record["@timestamp"].as_str().unwrap();
    let (_, fraction) = timestamp.split_once('.').unwrap();
    assert_eq!(fraction.chars().take_while(char::is_ascii_digit).count(), 6, "{timestamp}");
}

#[tokio::test]
async fn the_level_of_the_log_is_a_setting() {
    let plugin = subject().env("PLUGIN_LOG_LEVEL", "error").start();
    let channel = plugin.channel().await;
    greet(channel.clone(), "log not to be seen").await.unwrap();
    let _ = greet(channel, "panic to be seen").await;
    eventually("the panic is written", || plugin.stderr().contains("to be seen")).await;
    assert!(!plugin.stderr().contains("not to be seen"));
}

#[tokio::test]
async fn a_panic_is_one_record_and_one_failed_call() {
    let plugin = subject().start();
    let channel = plugin.channel().await;
    let status = greet(channel.clone(), "panic on order").await.expect_err("the handler panicked");
    assert_eq!(status.code(), tonic::Code::Internal);
    assert_eq!(status.message(), "the handler panicked: on order");
    eventually("the record is written", || plugin.stderr().ends_with('\n')).await;
    let stderr = plugin.stderr();
    let record: serde_json::Value = serde_json::from_str(stderr.trim_end()).unwrap();
    assert_eq!((&record["@level"], &record["@message"]), (&"error".into(), &"panic: on order".into()));
    assert!(record["location"].as_str().unwrap().contains("plugin-subject.rs"));
    assert_eq!(greet(channel, "x").await.unwrap(), "hello x");
}

#[tokio::test]
async fn prints_and_logs_do_not_fail_after_the_host_closed_its_pipes() {
    let start = subject().env("PLUGIN_EXIT_WITH_HOST", "false");
    let (mut child, channel) = unread(&start).await;
    drop((child.stdout.take(), child.stderr.take()));
    for order in ["print into the void", "log into the void", "print again"] {
        greet(channel.clone(), order).await.unwrap();
    }
    shut_down(channel).await.unwrap();
    assert_eq!(crate::subject::ended(&mut child).await.code(), Some(0));
}

/// A plugin from whose pipes only the handshake line is read.
async fn unread(start: &Start) -> (std::process::Child, PluginChannel) {
    let mut command = start.command();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    child.stdout = Some(stdout.into_inner());
    let answer = rpcplugin::handshake::HandshakeLine::parse(&line).unwrap();
    let channel = channel(&answer.endpoint, rpcplugin::transport::Security::Plain).await.unwrap();
    (child, channel)
}
