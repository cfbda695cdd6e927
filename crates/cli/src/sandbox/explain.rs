//! What to do about a fault of a sandbox, in the options of this program.

use rpcplugin::sandbox::{Denied, Layer, SandboxFault};

use crate::ui::shell_word::shell_quoted;

/// The option that allows what was denied, by the plugin's words. `None` if these do not name it.
pub(crate) fn option_for(denied: &Denied, line: &str) -> Option<String> {
    match denied {
        // Landlock refuses with EACCES, and the filter of system calls with EPERM.
        Denied::Path(_) if is_not_permitted(line) => Some("--allow-calls file_metadata".to_owned()),
        Denied::Path(path) => Some(format!("--allow-read {}", shell_quoted(&path.to_string_lossy()))),
        Denied::Port(port) => Some(format!("--allow-net {port}")),
        _ => None,
    }
}

/// The help for a fault of a sandbox. `None` if that of the library is as good.
pub(crate) fn help_for(fault: &SandboxFault) -> Option<String> {
    match fault {
        SandboxFault::Unavailable(missing) => {
            let mut help = "start the plugin with --sandbox-best-effort if it may run without the named layers".to_owned();
            for (layer, _) in missing {
                help += match layer {
                    Layer::UnixSockets => "; allow all Unix sockets with --allow-unix-sockets",
                    Layer::Processes => "; leave out --limit processes=N, or run this program as another user than root",
                    _ => continue,
                };
            }
            Some(help)
        }
        SandboxFault::Unsupported { place: "a container", .. } => {
            Some("leave out the option that allows it, or run the plugin without --runner".to_owned())
        }
        SandboxFault::Unsupported { .. } => Some(
            "run the plugin on Linux, or start it with --sandbox-best-effort, which starts it without a sandbox here".to_owned(),
        ),
        SandboxFault::Path { .. } => {
            Some("create the file or the directory, or take its option away".to_owned())
        }
        SandboxFault::Denied { denied, line } => Some(match option_for(denied, line) {
            Some(option) => format!("allow it with {option} if the plugin needs it; {TRACE}"),
            None => match limit_of(denied) {
                Some(limit) => format!("raise the limit --limit {limit}=… if the plugin needs more"),
                None => TRACE.to_owned(),
            },
        }),
        _ => None,
    }
}

fn is_not_permitted(line: &str) -> bool {
    let lower = line.to_lowercase();
    lower.contains("not permitted") || lower.contains("eperm")
}

fn limit_of(denied: &Denied) -> Option<&'static str> {
    match denied {
        Denied::Memory => Some("memory"),
        Denied::CpuTime => Some("cpu"),
        Denied::OpenFiles => Some("files"),
        Denied::Processes => Some("processes"),
        Denied::FileSize => Some("file-size"),
        _ => None,
    }
}

const TRACE: &str = "`rpcplugin run --trace-access` with the same options shows all that is denied";
