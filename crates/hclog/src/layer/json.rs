//! Nested JSON as the value of a field.

use std::cell::Cell;
use std::fmt;

use serde::Serialize;

/// A value that [`HclogLayer`](crate::HclogLayer) writes as nested JSON. Record it with `%` or `?`:
///
/// ```
/// # use rpcplugin_hclog::Json;
/// tracing::info!(limits = %Json(serde_json::json!({"cpu": 2, "tags": ["a", "b"]})), "configured");
/// ```
///
/// `Display` and `Debug` write compact JSON, so that other subscribers show the same text. If the value cannot be
/// serialised, they write the error as a JSON string. The JSON is nested only if it is the whole value of the field. Inside
/// another type it is part of the text of that type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Json<T>(
    /// The value to write.
    pub T,
);

impl<T: Serialize> fmt::Display for Json<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(&self.0)
            .unwrap_or_else(|error| serde_json::Value::from(error.to_string()).to_string());
        f.write_str(&json)?;
        let _ = CAPTURING.try_with(|capturing| {
            if capturing.get() {
                CAPTURED.with(|captured| captured.set(Some(json)));
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

/// Runs `render`, which formats one value and returns the number of bytes. Returns the JSON text if the whole value was a
/// [`Json`].
///
/// A visitor sees its values as `dyn Debug` without their type. `Json` therefore leaves its text here during a capture. A
/// `Json` within another type leaves its text too, but that is shorter than the text of the whole value.
pub(super) fn capture(render: impl FnOnce() -> usize) -> Option<String> {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            let _ = CAPTURING.try_with(|capturing| capturing.set(self.0));
        }
    }

    let restore = Restore(CAPTURING.try_with(|capturing| capturing.replace(true)).ok()?);
    let _ = CAPTURED.try_with(Cell::take);
    let length = render();
    drop(restore);
    // A raw JSON value may contain a newline, which would divide the line.
    CAPTURED
        .try_with(Cell::take)
        .ok()
        .flatten()
        .filter(|json| json.len() == length && !json.contains(['\n', '\r']))
}

thread_local! {
    static CAPTURING: Cell<bool> = const { Cell::new(false) };
    static CAPTURED: Cell<Option<String>> = const { Cell::new(None) };
}
