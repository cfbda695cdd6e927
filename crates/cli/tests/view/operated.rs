//! What a person sees and does.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use crate::{
    program::{peer, rpcplugin, script},
    running::{kit, of_the_tests},
    screen::{COOKIE, Screen, is_alive},
};

#[test]
fn plugins_are_shown_called_restarted_and_stopped() {
    for plugin in [kit(), peer("go", "kit-plugin")].into_iter().flatten() {
        let handover = tempfile::tempdir().unwrap();
        let file = handover.path().join("kit.json");
        let file = file.to_str().unwrap();
        let screen = Screen::start(&["--no-mtls", "--handover", file], &plugin);
        let first = screen.plugin(None);
        screen.shows(&["kit-plugin  running", "no TLS", "restarts 0", "log from debug and output", "q quit"]);
        screen.until(|text| has_number(text, "memory ") && has_number(text, "cpu "), "memory and cpu");

        call(file, "Echo", "{}", 0);
        call(file, "LogLine", r#"{"level":"info","message":"hello from a call"}"#, 0);
        call(file, "WriteStdio", r#"{"stdout":"cHJpbnRlZAo="}"#, 0);
        call(file, "Fail", r#"{"code":5,"message":"no"}"#, 1);
        screen.shows(&["(4 in all, 1 failed, 0 open", "hello from a call", "stdout│ printed"]);

        let before = std::fs::read_to_string(file).unwrap();
        screen.press("r");
        let second = screen.plugin(Some(first));
        assert!(!is_alive(first));
        screen.shows(&["restarts 1"]);
        // The address of the first plugin reaches the second.
        call(&before, "Echo", "{}", 0);
        screen.shows(&["(5 in all, 1 failed, 0 open"]);

        screen.press("s");
        screen.shows(&["kit-plugin  stopped: the plugin"]);
        assert!(!is_alive(second));
        screen.press("s");
        screen.shows(&["the plugin is not running; r starts it"]);
        screen.press("r");
        let third = screen.plugin(Some(second));
        screen.press("q");
        let (code, last) = screen.end();
        assert_eq!(code, Some(0), "{last}");
        assert!(!is_alive(third));
        assert!(!Path::new(file).exists());
    }
}

#[test]
fn output_without_a_line_break_is_shown_at_the_end_of_its_plugin() {
    let Some(plugin) = kit() else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kit.json");
    let file = file.to_str().unwrap();
    let screen = Screen::start(&["--no-mtls", "--handover", file], &plugin);
    let first = screen.plugin(None);
    // "left" and "other".
    call(file, "WriteStdio", r#"{"stdout":"bGVmdA==","stderr":"b3RoZXI="}"#, 0);
    screen.press("r");
    let second = screen.plugin(Some(first));
    screen.until(|text| count(text, "stdout│ left") == 1 && count(text, "stderr│ other") == 1, "output");
    call(file, "WriteStdio", r#"{"stdout":"bGVmdA==","stderr":"b3RoZXI="}"#, 0);
    screen.press("s");
    screen.until(|text| count(text, "stdout│ left") == 2 && count(text, "stderr│ other") == 2, "output");
    assert!(!is_alive(second));
    screen.press("q");
    assert_eq!(screen.end().0, Some(0));
}

#[test]
fn a_go_host_attaches_through_the_view() {
    let (Some(plugin), Some(host)) = (kit(), peer("go", "kit-host")) else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kit.json");
    let screen = Screen::start(&["--no-mtls", "--handover", file.to_str().unwrap()], &plugin);
    let plugin = screen.plugin(None);
    let config = std::fs::read_to_string(&file).unwrap();
    let attached =
        Command::new(host).args(["reattach", "--calls", "--broker", "--kill"]).arg(config).output().unwrap();
    assert!(attached.status.success(), "{attached:?}");
    let text = screen.until(|text| calls(text).is_some_and(|calls| calls > 200), "calls of the Go host");
    // In test mode a host kills neither the plugin nor the program that stands for it.
    assert!(is_alive(plugin), "{text}");
    screen.shows(&["0 open)  hosts 0"]);
    screen.press("q");
    assert_eq!(screen.end().0, Some(0));
}

#[test]
fn a_filter_shows_some_lines_and_escape_shows_all() {
    let Some(plugin) = kit() else { return };
    let screen = Screen::start(&["--no-mtls"], &plugin);
    screen.plugin(None);
    screen.shows(&["── starting", "plugin address"]);
    screen.press("/PLUGIN ADD");
    let text = screen.until(|text| !text.contains("── starting"), "filter");
    assert!(text.contains("plugin address") && text.contains("/plugin add"), "{text}");
    screen.press("\r");
    screen.shows(&["with \"plugin add\""]);
    screen.press("\u{1b}");
    screen.shows(&["── starting"]);
    // Levels hide records, and no note of the program.
    screen.press("l");
    screen.until(|text| text.contains("log from info") && !text.contains("plugin address"), "info");
    screen.press("?");
    screen.shows(&["PLUGIN_LOG_LEVEL", "any key returns"]);
    screen.press("q");
    screen.shows(&["── starting", "running"]);
    screen.press("a");
    screen.shows(&["The plugin listens at", "rpcplugin attach", "\"Protocol\":\"grpc\""]);
    screen.press(" q");
    assert_eq!(screen.end().0, Some(0));
}

#[test]
fn a_plugin_of_this_library_logs_from_the_chosen_level_after_a_restart() {
    let Some(plugin) = of_the_tests("plugin-subject") else { return };
    let screen = Screen::start(&["--no-mtls", "--cookie", "PLUGIN_SUBJECT=yes"], &plugin);
    let first = screen.plugin(None);
    screen.press("vv");
    screen.shows(&["r starts the plugin with PLUGIN_LOG_LEVEL=debug"]);
    // The default is info.
    assert!(!screen.text().contains("DEBUG"), "{}", screen.text());
    screen.press("r");
    screen.plugin(Some(first));
    screen.shows(&["next start with PLUGIN_LOG_LEVEL=debug", "DEBUG", "plugin address"]);
    screen.press("q");
    assert_eq!(screen.end().0, Some(0));
}

#[test]
fn a_flood_of_log_holds_up_neither_keys_nor_the_end() {
    let Some(plugin) = kit() else { return };
    let dir = tempfile::tempdir().unwrap();
    let flooding = format!("yes 'a line of a flood' >&2 &\nexec '{}'", plugin.display());
    let flooding = script(dir.path(), "flooding", &flooding);
    let screen = Screen::start(&["--no-mtls"], &flooding);
    let plugin = screen.plugin(None);
    screen.shows(&["lines too fast to show", "a line of a flood"]);
    let (begun, before) = (Instant::now(), frames(&screen));
    for _ in 0..5 {
        screen.press("?");
        screen.shows(&["any key returns to the log"]);
        screen.press("x");
        screen.shows(&["q quit"]);
    }
    screen.press(" ");
    screen.shows(&["paused, "]);
    screen.press(" ");
    screen.until(|text| !text.contains("paused, "), "end of the pause");
    let (passed, drawn) = (begun.elapsed(), frames(&screen) - before);
    // At most 20 a second, whatever comes. A slow terminal has some of them later: thousands of lines come in the same time.
    assert!(drawn as u128 <= passed.as_millis() / 25 + 40, "{drawn} in {passed:?}");
    let pages = std::fs::read_to_string(format!("/proc/{}/statm", screen.pid().as_raw_nonzero())).unwrap();
    let resident: usize = pages.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(resident * rustix::param::page_size() < 200 << 20, "{resident} pages");
    screen.press("q");
    let (code, last) = screen.end();
    assert_eq!(code, Some(0), "{last}");
    assert!(!is_alive(plugin));
}

#[test]
fn no_text_of_a_plugin_acts_on_the_terminal() {
    let Some(plugin) = kit() else { return };
    let dir = tempfile::tempdir().unwrap();
    let acting = format!(
        "printf 'begin\\033[2J\\033]0;evil\\007\\302\\233H\\tend\\n' >&2\nexec '{}'",
        plugin.display()
    );
    let acting = script(dir.path(), "acting", &acting);
    let screen = Screen::start(&["--no-mtls"], &acting);
    screen.plugin(None);
    screen.shows(&["begin\\u{1b}[2J\\u{1b}]0;evil\\u{7}\\u{9b}H    end"]);
    let sent = screen.sent();
    assert!(!sent.contains("\u{1b}]0") && !sent.contains('\u{9b}'), "{sent:?}");
    screen.press("q");
    assert_eq!(screen.end().0, Some(0));
}

#[test]
fn without_a_terminal_the_output_is_that_of_run() {
    let Some(plugin) = kit() else { return };
    let run = |ui: &[&str]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rpcplugin"))
            .args(["run", "--no-mtls", "--level", "error", "--cookie", COOKIE])
            .args(ui)
            .arg(&plugin)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line)
            .unwrap();
        rustix::process::kill_process(
            rustix::process::Pid::from_child(&child),
            rustix::process::Signal::TERM,
        )
        .unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(line.starts_with("{\"Protocol\":\"grpc\""), "{line}");
        // Without what differs from run to run.
        let first_words = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
        (output.status.code(), stderr.lines().map(first_words).collect::<Vec<_>>())
    };
    assert_eq!(run(&["--ui"]), run(&[]));
    // Neither for programs.
    let run = rpcplugin(["--json", "run", "--ui", "--cookie", "A=b", "/does/not/exist"]);
    assert_eq!(run.code, Some(3));
    assert_eq!(run.json()["error"]["kind"], "program");
}

/// Calls the plugin by way of the handover file or its content, as another program.
#[track_caller]
fn call(handover: &str, method: &str, data: &str, code: i32) {
    rpcplugin(["attach", handover, "call", method, "-d", data]).ended_with(code);
}

/// The number of times that the screen was drawn.
fn frames(screen: &Screen) -> usize {
    screen.sent().matches("\u{1b}[?2026h").count()
}

/// The number of rows with this text and no other.
fn count(text: &str, row: &str) -> usize {
    text.lines().filter(|line| line.trim_end() == row).count()
}

/// The number of calls in the head of the view.
fn calls(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("/s (")?;
    rest.split(' ').next()?.parse().ok()
}

fn has_number(text: &str, label: &str) -> bool {
    text.split_once(label).is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
}
