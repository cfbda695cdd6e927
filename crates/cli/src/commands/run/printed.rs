//! Lines for people and programs: the plugin's output, and its end.

use serde_json::json;

use crate::ui::{
    Out,
    style::{bad, dim, good, warn, without_colours},
};

/// Prints how the plugin ended.
pub(super) fn print_end(what: &str, clean: bool, out: &mut Out) {
    if out.is_json() {
        out.json_line(&json!({ "kind": "end", "clean": clean, "how": what }));
    } else {
        out.note(if clean { good(what) } else { bad(what) });
    }
}

/// Prints a line of the plugin's output on the same stream, with a mark.
pub(super) fn print_output(line: &str, is_stderr: bool, out: &mut Out) {
    if out.is_json() {
        out.json_line(&json!({ "kind": if is_stderr { "stderr" } else { "stdout" }, "text": line }));
    } else if is_stderr {
        out.note(marked_output(line, true));
    } else {
        out.line(marked_output(line, false));
    }
}

/// Returns a line of the plugin's output with the mark of its stream.
pub(super) fn marked_output(line: &str, is_stderr: bool) -> String {
    let mark = if is_stderr { warn("stderr│") } else { dim("stdout│") };
    format!("{mark} {}", without_colours(line))
}
