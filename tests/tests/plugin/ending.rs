//! How a plugin ends.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rpcplugin_proto::Channel::Stdout;
use rpcplugin_tests::{
    pb::{TicksRequest, sub_client::SubClient},
    support::{process::is_alive, wait::eventually},
};
use rustix::process::Signal;
use tokio::time::timeout;

use crate::subject::{TIMEOUT, entries, greet, pid, read_until, shut_down, stdio, subject};

#[tokio::test]
async fn shutdown_is_answered_before_the_connection_closes() {
    let plugin = subject().start();
    shut_down(plugin.channel().await).await.expect("an answer, not a broken connection");
    plugin.ends_cleanly().await;
}

#[tokio::test]
async fn sigterm_is_a_clean_shutdown() {
    let plugin = subject().start();
    assert_eq!(plugin.run("x").await, "hello x");
    plugin.signal(Signal::TERM);
    plugin.ends_cleanly().await;
}

#[tokio::test]
async fn sighup_is_a_clean_shutdown() {
    let start = subject();
    let hook = start.path("hook");
    let plugin = start.arg("--hook").arg(&hook).arg("--hook-after").arg("100").start();
    plugin.signal(Signal::HUP);
    let left = plugin.tmp.path().to_owned();
    let mut plugin = plugin;
    assert_eq!(plugin.ended().await.code(), Some(0));
    assert_eq!(entries(&left), [hook], "the hook ran, and nothing else is left");
}

#[tokio::test]
async fn sighup_that_was_ignored_at_the_start_stays_ignored() {
    let start = subject();
    let mut plugin = Command::new("/bin/sh")
        .args(["-c", "trap '' HUP; exec \"$0\"", env!("CARGO_BIN_EXE_plugin-subject")])
        .env("PLUGIN_SUBJECT", "yes")
        .env("TMPDIR", start.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(plugin.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let ignored = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", plugin.id())).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim().to_owned();
        u64::from_str_radix(&mask, 16).unwrap() & 1 == 1
    };
    if cfg!(target_os = "linux") {
        assert!(ignored());
    }
    rustix::process::kill_process(pid(&plugin), Signal::HUP).unwrap();
    let socket = rpcplugin::Endpoint::parse("unix", line.split('|').nth(3).unwrap()).unwrap();
    let channel = crate::subject::channel(&socket, rpcplugin::transport::Security::Plain).await.unwrap();
    assert_eq!(greet(channel.clone(), "x").await.unwrap(), "hello x");
    shut_down(channel).await.unwrap();
    eventually("the plugin is gone", || plugin.try_wait().unwrap().is_some()).await;
}

/// The watchdog may send a signal to a plugin that has already noticed the exit of its host.
#[tokio::test]
async fn repeated_signals_do_not_cut_the_shutdown_short() {
    let start = subject();
    let hook = start.path("hook");
    let mut plugin = start.arg("--hook").arg(&hook).arg("--hook-after").arg("600").start();
    for signal in [Signal::TERM, Signal::TERM, Signal::HUP] {
        plugin.signal(signal);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(plugin.ended().await.code(), Some(0));
    assert!(hook.exists(), "the hook ran to its end");
}

#[tokio::test]
async fn a_signal_right_after_the_line_is_a_clean_shutdown() {
    let plugin = subject().start();
    plugin.signal(Signal::INT);
    plugin.signal(Signal::TERM);
    plugin.ends_cleanly().await;
}

#[tokio::test]
async fn the_shutdown_file_ends_it_and_is_removed() {
    let start = subject();
    let file = start.path("stop");
    let plugin = start.env("PLUGIN_SHUTDOWN_FILE_PATH", &file).start();
    std::fs::write(&file, "").unwrap();
    eventually("the file is removed", || !file.exists()).await;
    plugin.ends_cleanly().await;
}

#[tokio::test]
async fn its_shutdown_token_ends_it() {
    let plugin = subject().start();
    plugin.run("end").await;
    plugin.ends_cleanly().await;
}

#[tokio::test]
async fn sigint_is_ignored_by_default() {
    let plugin = subject().env("PLUGIN_LOG_LEVEL", "trace").start();
    let channel = plugin.channel().await;
    assert_eq!(greet(channel.clone(), "x").await.unwrap(), "hello x");
    plugin.signal(Signal::INT);
    eventually("SIGINT is noticed", || plugin.stderr().contains("received interrupt signal, ignoring")).await;
    assert_eq!(greet(channel, "y").await.unwrap(), "hello y");

    let plugin = subject().env("PLUGIN_IGNORE_SIGINT", "false").start();
    plugin.signal(Signal::INT);
    plugin.ends_cleanly().await;
}

#[tokio::test]
async fn streams_end_and_calls_drain_within_the_grace() {
    let plugin = subject().env("PLUGIN_GRPC_GRACE_PERIOD", "10s").start();
    let channel = plugin.channel().await;
    let mut ticks = SubClient::new(channel.clone()).ticks(TicksRequest { n: -1 }).await.unwrap().into_inner();
    assert!(ticks.message().await.unwrap().is_some());
    let mut output = stdio(channel.clone()).await;
    let call = tokio::spawn(greet(channel.clone(), "sleep 500"));
    greet(channel.clone(), "print before the end").await.unwrap();
    read_until(&mut output, Stdout, "before the end").await;
    let begin = Instant::now();
    shut_down(channel).await.unwrap();
    assert_eq!(call.await.unwrap().unwrap(), "slept", "a call in flight is answered");
    while timeout(TIMEOUT, ticks.message()).await.unwrap().unwrap().is_some() {}
    while timeout(TIMEOUT, output.message()).await.unwrap().expect("a clean end").is_some() {}
    plugin.ends_cleanly().await;
    assert!(
        begin.elapsed() < Duration::from_secs(8),
        "the grace is a bound, not a pause: {:?}",
        begin.elapsed()
    );
}

#[tokio::test]
async fn a_call_that_outlives_the_grace_is_cancelled() {
    let plugin = subject().env("PLUGIN_GRPC_GRACE_PERIOD", "100ms").start();
    let channel = plugin.channel().await;
    let call = tokio::spawn(greet(channel.clone(), "sleep 60000"));
    // The call was sent before, on the same connection.
    shut_down(channel).await.unwrap();
    assert!(timeout(TIMEOUT, call).await.unwrap().unwrap().is_err());
    plugin.ends_cleanly().await;
}

#[tokio::test]
async fn a_handler_that_blocks_its_thread_does_not_delay_the_exit() {
    let plugin = subject().env("PLUGIN_WORKERS", "2").start();
    let channel = plugin.channel().await;
    let _call = tokio::spawn(greet(channel.clone(), "block 60000"));
    shut_down(channel).await.unwrap();
    plugin.ends_cleanly().await;
}

/// With one thread, as by default, no task of the runtime runs any more.
#[tokio::test]
async fn handlers_that_block_every_thread_do_not_delay_the_exit() {
    let mut plugin = subject().start();
    let socket = plugin.socket();
    let _call = tokio::spawn(greet(plugin.channel().await, "block 60000"));
    let blocked = plugin.tmp.path().join("blocked");
    eventually("the handler blocks", || blocked.exists()).await;
    plugin.signal(Signal::TERM);
    assert_eq!(plugin.ended().await.code(), Some(1), "the shutdown was not clean");
    assert!(plugin.all_stderr().contains("the plugin cannot shut down"));
    assert!(!socket.exists());
}

#[tokio::test]
async fn programs_that_it_started_do_not_delay_the_exit() {
    for child in ["sleep 30 &", "yes &", "yes >&2 &"] {
        for asked in ["a signal", "a call"] {
            let plugin = subject().start();
            let channel = plugin.channel().await;
            greet(channel.clone(), &format!("child {child}")).await.unwrap();
            match asked {
                "a signal" => plugin.signal(Signal::TERM),
                _ => shut_down(channel).await.unwrap(),
            }
            plugin.ends_cleanly().await;
        }
    }
}

#[tokio::test]
async fn a_hook_that_panics_does_not_disturb_the_shutdown() {
    let start = subject().env("PLUGIN_GRPC_GRACE_PERIOD", "20s");
    let file = start.path("hook");
    let mut plugin =
        start.arg("--hook-panics").arg("--hook").arg(&file).arg("--hook-after").arg("100").start();
    let channel = plugin.channel().await;
    let call = tokio::spawn(greet(channel.clone(), "sleep 500"));
    shut_down(channel).await.unwrap();
    assert_eq!(call.await.unwrap().expect("a call in flight is answered"), "slept");
    plugin.ended().await;
    assert!(plugin.all_stderr().contains("panic: in a hook") && file.exists(), "the other hook has run");
    plugin.ends_cleanly().await;
}

#[tokio::test]
async fn hooks_run_within_the_grace() {
    let start = subject();
    let file = start.path("hook");
    let plugin = start.arg("--hook").arg(&file).arg("--hook-after").arg("100").start();
    shut_down(plugin.channel().await).await.unwrap();
    eventually("the hook has run", || file.exists()).await;
    plugin.ends_cleanly().await;

    let start = subject().env("PLUGIN_GRPC_GRACE_PERIOD", "50ms");
    let file = start.path("hook");
    let plugin = start.arg("--hook").arg(&file).arg("--hook-after").arg("60000").start();
    shut_down(plugin.channel().await).await.unwrap();
    plugin.ends_cleanly().await;
}

/// A host that is a shell. It starts the plugin, prints its pid and its handshake line, and waits.
struct Host {
    shell: std::process::Child,
    plugin: u32,
    line: String,
    stdout: BufReader<std::process::ChildStdout>,
}

/// Prints the pid of the plugin. The plugin inherits the pipes of the shell, so that only `getppid` shows the exit of the
/// shell.
fn shell(start: &crate::subject::Start) -> Command {
    let command = start.command();
    let arguments: Vec<_> = command.get_args().map(|argument| format!("'{}'", argument.display())).collect();
    let script = format!("'{}' {} & echo $!; wait", command.get_program().display(), arguments.join(" "));
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).env_clear();
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap());
    }
    shell.stdin(Stdio::null()).stdout(Stdio::piped());
    shell
}

impl Host {
    fn start(start: &crate::subject::Start) -> Self {
        let mut shell = shell(start).spawn().unwrap();
        let mut stdout = BufReader::new(shell.stdout.take().unwrap());
        let mut line = || {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            line
        };
        let (first, second) = (line(), line());
        let (plugin, line) = if first.contains('|') { (second, first) } else { (first, second) };
        Self { shell, plugin: plugin.trim().parse().unwrap(), line, stdout }
    }

    fn socket(&self) -> PathBuf {
        PathBuf::from(self.line.split('|').nth(3).unwrap())
    }

    fn endpoint(&self) -> rpcplugin::Endpoint {
        rpcplugin::Endpoint::parse("unix", self.line.split('|').nth(3).unwrap()).unwrap()
    }

    fn kill(&mut self) -> Instant {
        rustix::process::kill_process(pid(&self.shell), Signal::KILL).unwrap();
        self.shell.wait().unwrap();
        Instant::now()
    }
}

#[tokio::test]
async fn it_exits_within_two_seconds_of_its_host() {
    for multiplex in ["false", "true"] {
        let start = subject().env("PLUGIN_MULTIPLEX_GRPC", multiplex);
        let mut host = Host::start(&start);
        let socket = host.socket();
        assert!(is_alive(host.plugin) && socket.exists());
        let died = host.kill();
        eventually("the plugin is gone", || !is_alive(host.plugin)).await;
        assert!(died.elapsed() < Duration::from_secs(2), "{:?}", died.elapsed());
        let left: Vec<_> = entries(&start.path(""));
        assert!(!socket.exists() && left.is_empty(), "{left:?} is left");
    }
}

#[tokio::test]
async fn a_shutdown_during_a_slow_start_leaves_nothing() {
    let start = subject();
    let waiting = start.path("waiting");
    let start = start.arg("--start-after").arg(&waiting);
    let mut plugin = start.command().stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    eventually("the plugin starts", || waiting.exists()).await;
    assert_eq!(entries(&start.path("")).len(), 2, "the file, and the directory of its socket");
    rustix::process::kill_process(pid(&plugin), Signal::TERM).unwrap();
    std::fs::remove_file(&waiting).unwrap();
    eventually("the plugin is gone", || plugin.try_wait().unwrap().is_some()).await;
    assert!(plugin.wait().unwrap().success());
    assert!(entries(&start.path("")).is_empty());

    // The host dies, and the test still holds the pipes.
    let mut shell = shell(&start).spawn().unwrap();
    let mut stdout = BufReader::new(shell.stdout.take().unwrap());
    let mut plugin = String::new();
    stdout.read_line(&mut plugin).unwrap();
    let plugin: u32 = plugin.trim().parse().unwrap();
    eventually("the plugin starts", || waiting.exists()).await;
    rustix::process::kill_process(pid(&shell), Signal::KILL).unwrap();
    shell.wait().unwrap();
    std::fs::remove_file(&waiting).unwrap();
    eventually("the plugin is gone", || !is_alive(plugin)).await;
    assert!(entries(&start.path("")).is_empty());
    drop(stdout);
}

#[tokio::test]
async fn a_blocking_handler_does_not_outlive_the_host() {
    let start = subject();
    let hosts = start.path("plugin-dir123");
    std::fs::create_dir(&hosts).unwrap();
    let start = start.env("PLUGIN_UNIX_SOCKET_DIR", &hosts);
    let mut host = Host::start(&start);
    let (socket, blocked) = (host.socket(), start.path("blocked"));
    let channel =
        crate::subject::channel(&host.endpoint(), rpcplugin::transport::Security::Plain).await.unwrap();
    let _call = tokio::spawn(greet(channel, "block 60000"));
    eventually("the handler blocks", || blocked.exists()).await;
    std::fs::remove_file(blocked).unwrap();
    let died = host.kill();
    eventually("the plugin is gone", || !is_alive(host.plugin)).await;
    assert!(died.elapsed() < Duration::from_secs(2), "{:?}", died.elapsed());
    let left: Vec<_> = entries(&start.path(""));
    assert!(!socket.exists() && left.is_empty(), "{left:?} is left");
}

#[tokio::test]
async fn the_directory_of_a_dead_host_is_removed_too() {
    let start = subject();
    let (hosts, operators) = (start.path("plugin-dir123"), start.path("sockets"));
    let start = start.env("PLUGIN_UNIX_SOCKET_DIR", &hosts);
    for (dir, stays) in [(hosts, false), (operators, true)] {
        std::fs::create_dir(&dir).unwrap();
        let start = subject().env("PLUGIN_UNIX_SOCKET_DIR", &dir);
        let mut host = Host::start(&start);
        assert_eq!(host.socket().parent(), Some(&*dir));
        host.kill();
        eventually("the plugin is gone", || !is_alive(host.plugin)).await;
        assert!(entries(&dir).is_empty());
        assert_eq!(dir.exists(), stays, "{}", dir.display());
    }
    drop(start);
}

#[tokio::test]
async fn it_outlives_its_host_if_configured() {
    let start = subject().env("PLUGIN_EXIT_WITH_HOST", "false");
    let mut host = Host::start(&start);
    let endpoint = host.endpoint();
    host.kill();
    drop(host.stdout);
    let channel = crate::subject::channel(&endpoint, rpcplugin::transport::Security::Plain).await.unwrap();
    assert_eq!(greet(channel.clone(), "x").await.unwrap(), "hello x");
    shut_down(channel).await.unwrap();
    eventually("the plugin is gone", || !is_alive(host.plugin)).await;
}

#[tokio::test]
async fn a_plugin_that_cannot_serve_exits_with_status_1_and_prints_only_to_stderr() {
    subject().without("PLUGIN_SUBJECT").refused().await.printed(&[
        "no host launched it",
        "PLUGIN_SUBJECT",
        "help:",
    ]);
    subject().env("PLUGIN_SUBJECT", "no").refused().await.printed(&["expects another plugin"]);
    subject().arg("--versions").arg("0").refused().await.printed(&["serves no version", "help:"]);
    subject().env("PLUGIN_WORKERS", "none at all").refused().await.printed(&["PLUGIN_WORKERS"]);
    subject()
        .env("SUPPORTED_PROTOCOL_VERSIONS", "7")
        .refused()
        .await
        .printed(&["allows the versions 7", "has 1"]);
    subject()
        .env("PLUGIN_CLIENT_CERT", "rubbish")
        .refused()
        .await
        .printed(&["certificate", "PLUGIN_CLIENT_CERT"]);
}

#[tokio::test]
async fn the_operator_may_set_another_cookie() {
    let start = subject()
        .without("PLUGIN_SUBJECT")
        .env("PLUGIN_MAGIC_COOKIE_KEY", "OTHER")
        .env("PLUGIN_MAGIC_COOKIE_VALUE", "cookie");
    start.env("OTHER", "cookie").start();
}
