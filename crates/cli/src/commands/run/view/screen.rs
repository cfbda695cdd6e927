//! The rows of the view, from what it knows. The same model makes the same rows.

use std::time::{Duration, Instant};

use super::{
    journal::Sources,
    model::{LEVEL_VARIABLE, Mode, Model},
    pages,
    state::{Access, State},
};
use crate::ui::{
    row::{fitted, rows, width},
    style::{bad, dim, good, on_one_line, strong, warn},
};

/// The columns and rows of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// What is on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// As many as the terminal has, each within its columns, with marks of styles.
    pub(super) rows: Vec<String>,
    /// The rows of the body.
    pub(super) page: usize,
}

/// Draws the view.
pub(super) fn draw(model: &Model, size: Size, now: Instant) -> Frame {
    let Size { columns, rows: height } = size;
    let mut head = flow(&items(model, now), columns, most_of_head(height));
    if height >= SHORT {
        head.push(rule(model));
    }
    let foot = foot(model, columns);
    let page = height.saturating_sub(head.len() + 1);
    let body = match &model.mode {
        Mode::Journal | Mode::Filter { .. } => journal(model, columns, page),
        Mode::Help => top(&pages::help(), columns, page),
        Mode::Addresses => top(&pages::addresses(model), columns, page),
    };
    let mut all: Vec<String> = head.into_iter().take(height.saturating_sub(1)).chain(body).collect();
    all.resize(height.saturating_sub(1), String::new());
    all.push(foot);
    all.truncate(height);
    Frame { rows: all.iter().map(|row| fitted(row, columns)).collect(), page: page.max(1) }
}

/// What the head says, the most important first.
fn items(model: &Model, now: Instant) -> Vec<String> {
    let mut items = vec![strong(on_one_line(&model.name)), state(model, now)];
    if let State::Running(running) = &model.state {
        items.extend(running.pid.map(|pid| format!("process {pid}")));
        items.push(format!("version {}", on_one_line(&running.version)));
        items.push(if running.is_secured { good("mutual TLS") } else { warn("no TLS") });
    }
    items.push(format!("restarts {}", model.restarts));
    if let State::Running(running) = &model.state {
        let unknown = || dim("unknown");
        let percent = model.load.percent().map_or_else(unknown, |percent| format!("{percent:.1} %"));
        let memory = model.load.memory().map_or_else(unknown, bytes);
        items.push(format!("cpu {percent}"));
        items.push(format!("memory {memory}"));
        items.push(calls(model, &running.access));
        if matches!(running.access, Access::Counted(_)) {
            items.push(format!("hosts {}", model.calls.hosts));
        }
    }
    if model.missed > 0 {
        items.push(warn(format_args!("{} lines too fast to show", model.missed)));
    }
    items
}

fn state(model: &Model, now: Instant) -> String {
    match &model.state {
        State::Starting => warn("starting"),
        State::Running(running) => {
            good(format_args!("running {}", time(now.saturating_duration_since(running.since))))
        }
        State::Stopping { again: true } => warn("restarting"),
        State::Stopping { again: false } => warn("shutting down"),
        State::Stopped { cause, is_clean: true } => format!("stopped: {}", on_one_line(cause)),
        State::Stopped { cause, is_clean: false } => bad(format_args!("stopped: {}", on_one_line(cause))),
    }
}

/// The calls of attached hosts, as far as this program sees them.
fn calls(model: &Model, access: &Access) -> String {
    let counts = &model.calls;
    match access {
        Access::Counted(_) => {
            let failed = format!("{} failed", counts.failed);
            let failed = if counts.failed > 0 { bad(failed) } else { failed };
            format!(
                "calls {:.1}/s ({} in all, {failed}, {} open)",
                model.call_rate.per_second(),
                counts.begun,
                counts.open,
            )
        }
        Access::Direct(_) => format!("calls {}", dim("not seen: hosts reach the plugin directly")),
        Access::Closed => format!("calls {}", dim("none: no other host has the key")),
    }
}

/// The line between head and body: what is shown of the log.
fn rule(model: &Model) -> String {
    let journal = &model.journal;
    let mut parts = vec![match journal.sources() {
        Sources::All => format!("log from {} and output", journal.level()),
        Sources::Log => format!("log from {}", journal.level()),
        Sources::Output => "output".to_owned(),
    }];
    if !journal.words().is_empty() {
        parts.push(format!("with {:?}", journal.words()));
    }
    if let Some(bottom) = model.bottom {
        parts.push(warn(format_args!("paused, {} newer", journal.after(bottom).count())));
    }
    if let Some(level) = model.plugin_level {
        parts.push(format!("next start with {}={level}", LEVEL_VARIABLE));
    }
    format!("{} {}", dim("──"), parts.join(&format!(" {} ", dim("·"))))
}

/// The last row: the filter while it is typed, an answer, or the keys.
fn foot(model: &Model, columns: usize) -> String {
    if matches!(model.mode, Mode::Filter { .. }) {
        let typed = strong(format_args!("/{}▏", model.journal.words()));
        return format!("{typed}  {}", dim("Enter keeps the filter, Esc drops it"));
    }
    if !matches!(model.mode, Mode::Journal) {
        return dim("any key returns to the log");
    }
    if !model.notice.is_empty() {
        return warn(&model.notice);
    }
    let mut foot = String::new();
    for (key, does) in pages::SHORT_HELP {
        let item = format!("{} {does}", strong(key));
        let gap = if foot.is_empty() { "" } else { "  " };
        if width(&foot) + gap.len() + width(&item) > columns {
            break;
        }
        foot += &format!("{gap}{item}");
    }
    foot
}

/// The entries around the bottom. What is above the bottom comes first. What is below it fills the rest.
fn journal(model: &Model, columns: usize, page: usize) -> Vec<String> {
    let bottom = model.bottom();
    let mut shown: Vec<String> = Vec::new();
    for entry in model.journal.back_from(bottom) {
        if shown.len() >= page {
            break;
        }
        // From the bottom up.
        shown.extend(rows(&entry.text, columns).into_iter().rev());
    }
    shown.truncate(page);
    shown.reverse();
    for entry in model.journal.after(bottom) {
        // A view that follows has nothing below its bottom.
        if shown.len() >= page {
            break;
        }
        shown.extend(rows(&entry.text, columns));
    }
    shown.truncate(page);
    shown
}

fn top(text: &str, columns: usize, page: usize) -> Vec<String> {
    rows(text, columns).into_iter().take(page).collect()
}

/// Puts items into rows of `columns` columns. The last of `most` rows has all that is left, and may be longer.
fn flow(items: &[String], columns: usize, most: usize) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for item in items {
        let is_full = rows.len() >= most;
        match rows.last_mut() {
            Some(row) if is_full || width(row) + GAP.len() + width(item) <= columns => {
                *row += GAP;
                *row += item;
            }
            _ => rows.push(item.clone()),
        }
    }
    rows
}

/// The most rows of a head, so that most of a short terminal is for the log.
fn most_of_head(height: usize) -> usize {
    match height {
        0..SHORT => 1,
        SHORT..12 => 2,
        12..20 => 3,
        _ => 6,
    }
}

/// A number of bytes with three digits.
fn bytes(number: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let number = number as f64;
    match number {
        n if n < 1024.0 * 1024.0 => format!("{:.0} KiB", n / 1024.0),
        n if n < 1024.0 * 1024.0 * 1024.0 => format!("{:.1} MiB", n / (1024.0 * 1024.0)),
        n => format!("{:.2} GiB", n / (1024.0 * 1024.0 * 1024.0)),
    }
}

/// A time in whole seconds, such as `1h 02m 03s`.
fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m {seconds:02}s"),
        _ => format!("{hours}h {minutes:02}m {seconds:02}s"),
    }
}

const GAP: &str = "  ";

/// A terminal with fewer rows has no line between head and body.
const SHORT: usize = 8;

#[cfg(test)]
mod tests;
