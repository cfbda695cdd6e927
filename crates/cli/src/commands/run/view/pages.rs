//! The pages behind the log: the keys, and the addresses of the plugin.

use super::{
    model::{LEVEL_VARIABLE, Model},
    state::{Access, State},
};
use crate::ui::style::{dim, on_one_line, strong};

/// The keys in the last row, the most important first.
pub(super) const SHORT_HELP: &[(&str, &str)] = &[
    ("q", "quit"),
    ("r", "restart"),
    ("s", "stop"),
    ("l/L", "level"),
    ("/", "filter"),
    ("space", "pause"),
    ("a", "addresses"),
    ("?", "help"),
];

/// The page of all keys.
pub(super) fn help() -> String {
    let level = format!(
        "choose {LEVEL_VARIABLE} for the next start: plugins of rpcplugin and pyvider log from that level if they load their \
         configuration, others ignore it"
    );
    let keys: [(&str, &str); 12] = [
        ("q, Ctrl-C", "shut the plugin down and quit; a second time kills it"),
        ("r", "restart the plugin, or start it if it is stopped"),
        ("s", "shut the plugin down and stay; a second time kills it"),
        ("l, L", "show fewer or more levels of the log"),
        ("v", &level),
        ("/, Esc", "show only lines with a text; show all again"),
        ("o", "show log and output, the log, or the output"),
        ("space, p", "pause, and follow again"),
        ("arrows, Page keys", "scroll; g or Home to the oldest, G or End to the newest"),
        ("a", "show addresses, and how to attach"),
        ("Ctrl-L", "draw the screen again"),
        ("Ctrl-Z", "suspend; the shell's fg continues"),
    ];
    let mut help = String::new();
    for (key, does) in keys {
        help += &format!("{}  {does}\n", strong(format_args!("{key:<17}")));
    }
    help += &format!(
        "\n{}",
        dim(
            "Calls are those of hosts that attach through this program, on the plugin's main connection. Services of the \
             protocol, health and reflection are not counted."
        )
    );
    help
}

/// The page of addresses.
pub(super) fn addresses(model: &Model) -> String {
    let State::Running(running) = &model.state else {
        return "the plugin is not running".to_owned();
    };
    let mut page = format!("{}\n{}\n\n", strong("The plugin listens at"), on_one_line(&running.endpoint));
    let (head, lines) = match &running.access {
        Access::Counted(lines) => {
            ("Attach through this program, which counts the calls. The address stays after a restart", lines)
        }
        Access::Direct(lines) => ("Attach to the plugin. Its calls are not seen here", lines),
        Access::Closed => {
            page += "It serves only this host. For others run it with --handover FILE or --no-mtls.";
            return page;
        }
    };
    page += &strong(head);
    for line in lines {
        page += &format!("\n{}", on_one_line(line));
    }
    page
}
