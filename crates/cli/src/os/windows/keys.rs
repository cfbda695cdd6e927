//! The keys of the console.

use std::{io, time::Duration};

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::os::key::Key;

/// Reads keys.
#[derive(Debug, Default)]
pub(crate) struct Keys;

impl Keys {
    /// Waits for the next key, at most for a tenth of a second. Returns `None` without a key that the program knows.
    ///
    /// # Errors
    /// The console is gone.
    pub(crate) fn next(&mut self) -> io::Result<Option<Key>> {
        if !event::poll(Duration::from_millis(100))? {
            return Ok(None);
        }
        match event::read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release => Ok(known(key)),
            _ => Ok(None),
        }
    }
}

fn known(key: KeyEvent) -> Option<Key> {
    Some(match key.code {
        KeyCode::Char(c) if is_control(key.modifiers) => Key::Control(c),
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}

/// Whether the key Control is held. AltGr is reported as Control with Alt, and types a character.
fn is_control(modifiers: KeyModifiers) -> bool {
    modifiers.contains(KeyModifiers::CONTROL) && !modifiers.contains(KeyModifiers::ALT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_of_altgr_are_typed() {
        let alt_gr = KeyModifiers::CONTROL | KeyModifiers::ALT;
        for (modifiers, c, expected) in [
            (KeyModifiers::NONE, 'q', Key::Char('q')),
            (KeyModifiers::CONTROL, 'c', Key::Control('c')),
            (alt_gr, '@', Key::Char('@')),
            (alt_gr, '\\', Key::Char('\\')),
        ] {
            assert_eq!(known(KeyEvent::new(KeyCode::Char(c), modifiers)), Some(expected));
        }
    }
}
