//! What each key does.

use rpcplugin::hclog::Level;

use super::{
    model::{LEVEL_VARIABLE, Mode, Model},
    state::State,
};
use crate::os::Key;

/// What a key asks of the program. Everything else that a key does is in the model already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Quit,
    Restart,
    Stop,
    Suspend,
    Redraw,
}

/// Takes a key.
pub(super) fn press(model: &mut Model, key: Key) -> Option<Ask> {
    model.is_stale = true;
    model.notice.clear();
    if let Key::Control(letter) = key {
        return match letter {
            'c' => Some(Ask::Quit),
            'z' => Some(Ask::Suspend),
            'l' => Some(Ask::Redraw),
            _ => None,
        };
    }
    match std::mem::take(&mut model.mode) {
        Mode::Filter { before } => {
            typed(model, key, before);
            None
        }
        Mode::Journal => in_journal(model, key),
        // Any key closes a page, and `q` nothing else with it.
        Mode::Help | Mode::Addresses => None,
    }
}

/// Takes a key of the filter.
fn typed(model: &mut Model, key: Key, before: String) {
    let mut words = model.journal.words().to_owned();
    match key {
        Key::Enter => return,
        Key::Escape => {
            model.journal.set_words(&before);
            return;
        }
        Key::Backspace => {
            words.pop();
        }
        Key::Char(c) if words.len() < LONGEST_FILTER => words.push(c),
        _ => {}
    }
    model.journal.set_words(&words);
    model.mode = Mode::Filter { before };
}

fn in_journal(model: &mut Model, key: Key) -> Option<Ask> {
    match key {
        Key::Char('q') => return Some(Ask::Quit),
        Key::Char('r') => return restart(model),
        Key::Char('s') => return stop(model),
        Key::Char('l') => model.journal.set_level(less(model.journal.level())),
        Key::Char('L') => model.journal.set_level(more(model.journal.level())),
        Key::Char('v') => choose_plugin_level(model),
        Key::Char('o') => model.journal.set_sources(model.journal.sources().next()),
        Key::Char('/') => model.mode = Mode::Filter { before: model.journal.words().to_owned() },
        Key::Escape => model.journal.set_words(""),
        Key::Char(' ' | 'p') => {
            model.bottom = if model.bottom.is_some() { None } else { Some(model.bottom()) };
        }
        Key::Up | Key::Char('k') => model.back(1),
        Key::Down | Key::Char('j') => model.forward(1),
        Key::PageUp | Key::Char('b') => model.back(model.page),
        Key::PageDown | Key::Char('f') => model.forward(model.page),
        Key::Home | Key::Char('g') => model.bottom = Some(model.journal.oldest()),
        Key::End | Key::Char('G') => model.bottom = None,
        Key::Char('?' | 'h') => model.mode = Mode::Help,
        Key::Char('a') => model.mode = Mode::Addresses,
        _ => {}
    }
    None
}

fn restart(model: &mut Model) -> Option<Ask> {
    match &model.state {
        State::Running(_) | State::Stopped { .. } => Some(Ask::Restart),
        State::Starting | State::Stopping { .. } => {
            "the plugin is being started or stopped already".clone_into(&mut model.notice);
            None
        }
    }
}

fn stop(model: &mut Model) -> Option<Ask> {
    if model.is_up() || matches!(model.state, State::Stopping { .. }) {
        return Some(Ask::Stop);
    }
    "the plugin is not running; r starts it".clone_into(&mut model.notice);
    None
}

/// Chooses the level that the plugin is asked for at its next start.
fn choose_plugin_level(model: &mut Model) {
    model.plugin_level = match model.plugin_level {
        None => Some(Level::Trace),
        Some(Level::Error) => None,
        Some(level) => Some(less(level)),
    };
    model.notice = match model.plugin_level {
        Some(level) => format!("r starts the plugin with {LEVEL_VARIABLE}={level}"),
        None => format!("r starts the plugin without {LEVEL_VARIABLE} of this view"),
    };
}

/// The next level, which shows less.
fn less(level: Level) -> Level {
    match level {
        Level::Trace => Level::Debug,
        Level::Debug => Level::Info,
        Level::Info => Level::Warn,
        Level::Warn | Level::Error => Level::Error,
    }
}

/// The next level, which shows more.
fn more(level: Level) -> Level {
    match level {
        Level::Error => Level::Warn,
        Level::Warn => Level::Info,
        Level::Info => Level::Debug,
        Level::Debug | Level::Trace => Level::Trace,
    }
}

/// The bytes of the longest filter.
const LONGEST_FILTER: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::run::view::journal::Source;

    fn model() -> Model {
        let mut model = Model::new("kv".to_owned(), Level::Debug);
        for number in 0..10 {
            model.add(Source::Output, format!("line {number}"));
        }
        model.page = 4;
        model
    }

    fn type_in(model: &mut Model, keys: &[Key]) -> Option<Ask> {
        keys.iter().map(|key| press(model, *key)).last().flatten()
    }

    fn letters(text: &str) -> Vec<Key> {
        text.chars().map(Key::Char).collect()
    }

    #[test]
    fn a_filter_is_typed_kept_and_taken_back() {
        let mut model = model();
        type_in(&mut model, &letters("/lone 7"));
        // `q` and `s` are letters here.
        assert_eq!(model.journal.words(), "lone 7");
        type_in(&mut model, &[Key::Backspace; 6]);
        type_in(&mut model, &letters("line 7"));
        assert_eq!(model.journal.after(0).count(), 1);
        type_in(&mut model, &[Key::Enter]);
        assert_eq!((model.mode.clone(), model.journal.words()), (Mode::Journal, "line 7"));
        type_in(&mut model, &letters("/qqq"));
        assert_eq!(model.journal.words(), "line 7qqq");
        type_in(&mut model, &[Key::Escape]);
        assert_eq!(model.journal.words(), "line 7");
        type_in(&mut model, &[Key::Escape]);
        assert_eq!(model.journal.words(), "");
        type_in(&mut model, &[Key::Char('/')]);
        type_in(&mut model, &[Key::Char('ü'); 300]);
        assert!(model.journal.words().len() <= LONGEST_FILTER + 1);
    }

    #[test]
    fn scrolling_stops_the_following_and_the_end_follows_again() {
        let mut model = model();
        type_in(&mut model, &[Key::Up]);
        assert_eq!(model.bottom, Some(8));
        type_in(&mut model, &[Key::PageUp]);
        assert_eq!(model.bottom, Some(4));
        model.add(Source::Output, "new".to_owned());
        assert_eq!(model.bottom, Some(4), "a new line moves nothing");
        type_in(&mut model, &[Key::PageUp, Key::PageUp, Key::Up]);
        assert_eq!(model.bottom, Some(0));
        type_in(&mut model, &[Key::PageDown, Key::Down]);
        assert_eq!(model.bottom, Some(5));
        type_in(&mut model, &[Key::PageDown, Key::PageDown]);
        assert_eq!(model.bottom, None);
        type_in(&mut model, &letters("g"));
        assert_eq!(model.bottom, Some(0));
        type_in(&mut model, &letters("G "));
        assert_eq!(model.bottom, Some(10), "paused at the newest");
        type_in(&mut model, &letters(" "));
        assert_eq!(model.bottom, None);
    }

    #[test]
    fn keys_ask_for_what_the_state_allows() {
        let mut model = model();
        assert_eq!(type_in(&mut model, &letters("r")), None);
        assert!(model.notice.contains("already"), "{}", model.notice);
        assert_eq!(type_in(&mut model, &letters("s")), Some(Ask::Stop));
        model.enter(State::Stopped { cause: "signal 9".to_owned(), is_clean: false });
        assert_eq!(type_in(&mut model, &letters("s")), None);
        assert_eq!(type_in(&mut model, &letters("r")), Some(Ask::Restart));
        assert_eq!(type_in(&mut model, &letters("q")), Some(Ask::Quit));
        // The first key closes the help.
        assert_eq!(type_in(&mut model, &letters("?q")), None);
        assert_eq!(type_in(&mut model, &letters("q")), Some(Ask::Quit));
        type_in(&mut model, &letters("/"));
        assert_eq!(press(&mut model, Key::Control('c')), Some(Ask::Quit));
        assert_eq!(press(&mut model, Key::Control('z')), Some(Ask::Suspend));
        assert_eq!(press(&mut model, Key::Control('r')), None);
    }

    #[test]
    fn levels_have_two_ends() {
        let mut model = model();
        type_in(&mut model, &letters("LLL"));
        assert_eq!(model.journal.level(), Level::Trace);
        type_in(&mut model, &letters("llllll"));
        assert_eq!(model.journal.level(), Level::Error);
        assert_eq!(model.plugin_level, None);
        type_in(&mut model, &letters("vv"));
        assert_eq!(model.plugin_level, Some(Level::Debug));
        assert!(model.notice.contains("PLUGIN_LOG_LEVEL=debug"), "{}", model.notice);
        type_in(&mut model, &letters("vvvv"));
        assert_eq!(model.plugin_level, None);
    }
}
