//! Nested JSON as the value of a field.

use std::cell::Cell;
use std::fmt;

use serde::Serialize;

/// A value that [`HclogLayer`](crate::HclogLayer) writes as nested JSON; to be recorded with `%` or `?`:
///
/// ```
/// # use rpcplugin_hclog::Json;
/// tracing::info!(limits = %Json(serde_json::json!({"cpu": 2, "tags": ["a", "b"]})), "configured");
/// ```
///
/// Both its `Display` and its `Debug` are compact JSON, so other subscribers show the same text; a value that cannot be
/// serialised shows the error as a JSON string. It is nested only when it is the whole value of the field: inside
/// another type it is part of that type's text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Json<T>(
    /// What is to be written.
    pub T,
);

impl<T: Serialize> fmt::Display for Json<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(&self.0)
            .unwrap_or_else(|error| serde_json::Value::from(error.to_string()).to_string());
        f.write_str(&json)?;
        let _ = LISTENING.try_with(|listening| {
            if listening.get() {
                SPOKEN.with(|spoken| spoken.set(Some(json)));
            }
        });
        Ok(())
    }
}

impl<T: Serialize> fmt::Debug for Json<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Runs `render`, which formats one value and returns the number of bytes it got. Returns the JSON text if the value
/// was a [`Json`] and nothing else.
///
/// A visitor sees its values as `dyn Debug` and cannot ask for their type, so `Json` leaves its text here while
/// somebody listens. A `Json` within another type leaves it too, but its text is then shorter than the whole.
pub(super) fn listen(render: impl FnOnce() -> usize) -> Option<String> {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            let _ = LISTENING.try_with(|listening| listening.set(self.0));
        }
    }

    let restore = Restore(LISTENING.try_with(|listening| listening.replace(true)).ok()?);
    let _ = SPOKEN.try_with(Cell::take);
    let length = render();
    drop(restore);
    // A newline, possible in text that was serialised elsewhere, would break the line in two.
    SPOKEN
        .try_with(Cell::take)
        .ok()
        .flatten()
        .filter(|json| json.len() == length && !json.contains(['\n', '\r']))
}

thread_local! {
    static LISTENING: Cell<bool> = const { Cell::new(false) };
    static SPOKEN: Cell<Option<String>> = const { Cell::new(None) };
}
