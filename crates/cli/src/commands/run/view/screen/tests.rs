//! What the view looks like.

use rpcplugin::{hclog::Level, host::Pid};

use super::*;
use crate::{
    commands::run::view::{
        journal::Source,
        state::{CallCounts, Running},
    },
    os::ProcessUsage,
    ui::style::plain,
};

/// A model of a running plugin, and the moment to draw it.
fn running() -> (Model, Instant) {
    let start = Instant::now();
    let mut model = Model::new("kv-plugin".to_owned(), Level::Info);
    model.enter(State::Running(Running {
        pid: Pid::new(4711),
        version: "1".to_owned(),
        is_secured: false,
        since: start,
        endpoint: "unix:/tmp/plugin".to_owned(),
        access: Access::Counted(vec!["rpcplugin attach '{…}'".to_owned()]),
    }));
    model.add(Source::Log(Level::Info), "12:00:00 INFO  kv: opened path=\"/tmp\"".to_owned());
    model.add(Source::Log(Level::Debug), "DEBUG hidden".to_owned());
    model.add(Source::Output, "stdout│ printed".to_owned());
    let usage = |ms| Some(ProcessUsage { processor: Duration::from_millis(ms), memory: 12 << 20 });
    model.load.measure(start, usage(0));
    model.load.measure(start + Duration::from_secs(1), usage(15));
    let calls = |begun| CallCounts { begun, failed: 2, open: 1, hosts: 1 };
    model.count(start, calls(100));
    model.count(start + Duration::from_secs(2), calls(125));
    (model, start + Duration::from_secs(63))
}

fn drawn(model: &Model, columns: usize, rows: usize, now: Instant) -> Vec<String> {
    let frame = draw(model, Size { columns, rows }, now);
    assert_eq!(frame.rows.len(), rows);
    assert!(frame.rows.iter().all(|row| width(row) <= columns && !row.contains('\n')), "{frame:?}");
    frame.rows.iter().map(|row| plain(row)).collect()
}

#[test]
fn a_running_plugin() {
    let (model, now) = running();
    assert_eq!(
        drawn(&model, 100, 12, now),
        [
            "kv-plugin  running 1m 03s  process 4711  version 1  no TLS  restarts 0  cpu 1.5 %  memory 12.0 MiB",
            "calls 12.5/s (125 in all, 2 failed, 1 open)  hosts 1",
            "── log from info and output",
            "── running: process 4711, version 1",
            "12:00:00 INFO  kv: opened path=\"/tmp\"",
            "stdout│ printed",
            "",
            "",
            "",
            "",
            "",
            "q quit  r restart  s stop  l/L level  / filter  space pause  a addresses  ? help",
        ]
    );
}

#[test]
fn a_narrow_and_short_terminal_keeps_the_state_and_the_log() {
    let (mut model, now) = running();
    assert_eq!(
        drawn(&model, 24, 5, now),
        [
            "kv-plugin  running 1m 0…",
            "12:00:00 INFO  kv:",
            "opened path=\"/tmp\"",
            "stdout│ printed",
            "q quit  r restart",
        ]
    );
    model.enter(State::Stopped { cause: "signal 9".to_owned(), is_clean: false });
    assert_eq!(drawn(&model, 45, 3, now)[0], "kv-plugin  stopped: signal 9  restarts 0");
    for columns in 0..30 {
        for rows in 0..12 {
            drawn(&model, columns, rows, now);
        }
    }
}

#[test]
fn a_paused_view_shows_how_much_is_newer() {
    let (mut model, now) = running();
    model.bottom = Some(1);
    model.journal.set_words("P");
    let rows = drawn(&model, 80, 12, now);
    assert!(
        rows.contains(&"── log from info and output · with \"p\" · paused, 1 newer".to_owned()),
        "{rows:?}"
    );
    // What is newer fills a body that would be empty.
    assert!(rows.contains(&"stdout│ printed".to_owned()), "{rows:?}");
    for number in 0..40 {
        model.add(Source::Output, format!("p{number}"));
    }
    let rows = drawn(&model, 80, 6, now);
    assert!(!rows.iter().any(|row| row.starts_with("p3")), "{rows:?}");
}

#[test]
fn what_is_not_known_is_not_invented() {
    let (mut model, now) = running();
    model.load = super::super::state::Load::default();
    if let State::Running(running) = &mut model.state {
        running.access = Access::Closed;
    }
    let rows = drawn(&model, 200, 24, now);
    assert!(
        rows[0].contains("cpu unknown  memory unknown  calls none: no other host has the key"),
        "{rows:?}"
    );
    model.enter(State::Starting);
    let rows = drawn(&model, 200, 24, now);
    assert_eq!(rows[0], "kv-plugin  starting  restarts 0");
}

#[test]
fn nothing_of_a_plugin_acts_on_the_terminal() {
    let (mut model, now) = running();
    model.name = "a\u{1b}]0;x\u{7}\nb".to_owned();
    model.add(Source::Output, "\u{1b}[2J\u{9b}H\u{202e}".to_owned());
    let cause = "\u{1b}[31m\nx".to_owned();
    model.enter(State::Stopped { cause, is_clean: false });
    let frame = draw(&model, Size { columns: 80, rows: 24 }, now);
    for styles in [true, false] {
        let sent: String = frame.rows.iter().map(|row| crate::ui::row::sent(row, styles)).collect();
        let sequences: Vec<&str> = sent.split('\u{1b}').skip(1).collect();
        assert_eq!(sequences.is_empty(), !styles);
        // Only colours of this program.
        for sequence in sequences {
            let (parameters, _) = sequence.split_once('m').unwrap();
            assert!(parameters.strip_prefix('[').unwrap().bytes().all(|b| b.is_ascii_digit() || b == b';'));
        }
        assert!(!sent.contains(['\u{9b}', '\u{202e}', '\u{7}', '\n']), "{sent:?}");
    }
}

#[test]
fn the_filter_is_shown_while_it_is_typed() {
    let (mut model, now) = running();
    model.journal.set_words("op");
    model.mode = Mode::Filter { before: String::new() };
    assert_eq!(drawn(&model, 80, 12, now)[11], "/op▏  Enter keeps the filter, Esc drops it");
    model.mode = Mode::Help;
    assert_eq!(drawn(&model, 80, 12, now)[11], "any key returns to the log");
    model.mode = Mode::Journal;
    "no".clone_into(&mut model.notice);
    assert_eq!(drawn(&model, 80, 12, now)[11], "no");
}

#[test]
fn sizes_and_times_are_short() {
    for (number, expected) in [(2048, "2 KiB"), (12 << 20, "12.0 MiB"), (3 << 30, "3.00 GiB")] {
        assert_eq!(bytes(number), expected);
    }
    for (seconds, expected) in [(5, "5s"), (65, "1m 05s"), (3723, "1h 02m 03s")] {
        assert_eq!(time(Duration::from_secs(seconds)), expected);
    }
}
