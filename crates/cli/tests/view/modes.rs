//! The modes of the terminal, whatever happens.

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    program::{eventually, script},
    running::kit,
    screen::{Screen, is_alive, state},
};

#[test]
fn sigterm_ends_the_plugin_and_restores_the_terminal() {
    let Some(plugin) = kit() else { return };
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let screen = Screen::start(&[], &plugin);
        let plugin = screen.plugin(None);
        // Under AutoMTLS no other host has the key.
        screen.shows(&["mutual TLS", "calls none: no other host has the key"]);
        assert!(screen.is_taken());
        screen.signal(signal);
        let (code, last) = screen.end();
        assert_eq!(code, Some(0), "{last}");
        assert!(!is_alive(plugin));
    }
}

#[test]
fn a_terminal_that_closes_ends_the_plugin() {
    let Some(plugin) = kit() else { return };
    let screen = Screen::start(&["--no-mtls"], &plugin);
    let plugin = screen.plugin(None);
    assert_eq!(screen.close(), Some(0));
    assert!(!is_alive(plugin));
}

#[test]
fn a_plugin_that_dies_leaves_the_view_and_its_cause() {
    let Some(plugin) = kit() else { return };
    let screen = Screen::start(&["--no-mtls"], &plugin);
    let pid = screen.plugin(None);
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    screen.shows(&["stopped: the plugin exited by itself: signal 9"]);
    assert!(screen.is_taken());
    screen.press("q");
    let (code, last) = screen.end();
    assert_eq!(code, Some(4), "{last}");
    assert!(last.contains("the plugin exited by itself: signal 9"), "{last}");
}

#[test]
fn a_plugin_that_does_not_start_is_reported_on_the_restored_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let broken = script(dir.path(), "broken", "echo oops >&2; exit 7");
    let screen = Screen::start(&[], &broken);
    let (code, last) = screen.end();
    assert_eq!(code, Some(3), "{last}");
    assert!(last.contains("exit status 7") && last.contains("oops"), "{last}");
}

#[test]
fn a_second_ctrl_c_kills_a_plugin_that_does_not_end() {
    let Some(plugin) = kit() else { return };
    let screen = Screen::start(&["--no-mtls"], &plugin);
    let pid = screen.plugin(None);
    // It answers no Shutdown.
    kill_process(Pid::from_raw(pid).unwrap(), Signal::STOP).unwrap();
    screen.press("\u{3}");
    screen.shows(&["press Ctrl-C again to kill it"]);
    screen.press("\u{3}");
    let (code, last) = screen.end();
    assert_eq!(code, Some(130), "{last}");
    eventually(|| (!is_alive(pid)).then_some(()));
}

#[test]
fn a_suspended_view_gives_the_terminal_back_and_takes_it_again() {
    let Some(plugin) = kit() else { return };
    let screen = Screen::start(&["--no-mtls"], &plugin);
    screen.plugin(None);
    let this = screen.pid().as_raw_nonzero().get();
    for round in 0..2 {
        screen.press("\u{1a}");
        eventually(|| (state(this) == Some('T')).then_some(()));
        eventually(|| screen.is_restored().then_some(()));
        screen.signal(Signal::CONT);
        eventually(|| screen.is_taken().then_some(()));
        screen.shows(&["kit-plugin  running", "q quit"]);
        // A shell changes the modes, and a program that was stopped without a word takes them again.
        if round == 0 {
            screen.signal(Signal::STOP);
            eventually(|| (state(this) == Some('T')).then_some(()));
            screen.signal(Signal::CONT);
        }
    }
    screen.press("q");
    assert_eq!(screen.end().0, Some(0));
}

#[test]
fn a_terminal_that_takes_nothing_holds_up_no_signal() {
    let Some(plugin) = kit() else { return };
    let screen = Screen::start(&["--no-mtls"], &plugin);
    let plugin = screen.plugin(None);
    let this = screen.pid().as_raw_nonzero().get();
    let end = screen.hold();
    screen.signal(Signal::TSTP);
    eventually(|| (state(this) == Some('T')).then_some(()));
    screen.signal(Signal::CONT);
    // It runs again, and has not left the terminal to another.
    eventually(|| (state(this) != Some('T') && !screen.has_modes_restored()).then_some(()));
    Screen::release(&end);
    eventually(|| screen.is_taken().then_some(()));
    screen.shows(&["kit-plugin  running", "q quit"]);
    screen.hold();
    screen.signal(Signal::TERM);
    assert_eq!(screen.end_on_held(end), Some(0));
    assert!(!is_alive(plugin));
}

#[test]
fn the_view_follows_the_size_of_the_terminal() {
    let Some(plugin) = kit() else { return };
    let screen = Screen::start(&["--no-mtls"], &plugin);
    screen.plugin(None);
    for (rows, columns) in [(6, 30), (1, 1), (40, 120), (24, 80)] {
        screen.resize(rows, columns);
        let shown = |text: &str| match rows {
            0..3 => !text.contains("running"),
            3..12 => {
                text.starts_with("kit-plugin  running")
                    && text.contains("q quit  r restart")
                    && !text.contains("no TLS")
            }
            _ => text.contains("no TLS") && text.contains("log from debug and output"),
        };
        screen.until(shown, &format!("view of {rows} rows and {columns} columns"));
    }
    screen.press("q");
    assert_eq!(screen.end().0, Some(0));
}

#[test]
fn no_color_is_respected() {
    let Some(plugin) = kit() else { return };
    for (variables, has_colours) in [(&[][..], true), (&[("NO_COLOR", "1")][..], false)] {
        let screen = Screen::start_with(&["--no-mtls"], &plugin, variables);
        screen.plugin(None);
        screen.shows(&["q quit"]);
        screen.press("q");
        let sent = screen.sent();
        let styles = sent.split("\u{1b}[").skip(1).filter(|sequence| {
            let end = sequence.find(|c: char| !c.is_ascii_digit() && c != ';');
            end.is_some_and(|end| sequence[end..].starts_with('m'))
        });
        assert_eq!(styles.count() > 0, has_colours, "{sent:?}");
        assert_eq!(screen.end().0, Some(0));
    }
}
