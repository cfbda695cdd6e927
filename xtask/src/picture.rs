//! `cargo xtask picture`: the output of `rpcplugin inspect`, as `docs/images/inspect.svg` and as text in `docs/cli.md`, and that
//! of the example `kv-host`, as `docs/images/kv-host.svg`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anstyle_svg::Term;

use crate::markdown;
use crate::workspace::{self, Outcome};

/// Builds the program, a host and a plugin, runs them, and draws the outputs.
pub(crate) fn run() -> Outcome {
    for line in ["build -p rpcplugin-cli --bins", "build -p rpcplugin --examples"] {
        workspace::succeed(&mut workspace::cargo(line.split(' ')))?;
    }
    let target = workspace::Workspace::load()?.target.join("debug");
    let output = Command::new(target.join("rpcplugin"))
        .args(["--color", "always", "inspect", "--cookie", "KV_PLUGIN=hello"])
        .arg(target.join("examples/kv-plugin"))
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    // The path is that of an installed plugin, not of this build.
    let shown =
        String::from_utf8(output.stdout)?.replace(&*target.join("examples").to_string_lossy(), "/opt/kv");
    let session = format!("$ rpcplugin inspect --cookie KV_PLUGIN=hello /opt/kv/kv-plugin\n{shown}");
    workspace::settle("docs/images/inspect.svg", Term::new().render_svg(&session).as_bytes(), false)?;
    let page = fs::read_to_string(workspace::root().join(PAGE))?;
    let plain = anstream::adapter::strip_str(&session).to_string();
    let block = format!("```text\n{}\n```\n", plain.trim_end());
    let page =
        markdown::between(&page, BEGIN, END, &block).ok_or("docs/cli.md has no place for the session")?;
    workspace::settle(PAGE, page.as_bytes(), false)?;
    draw_host(&target)
}

/// Draws the output of a host whose plugin logs. A shell puts stdout and stderr together.
fn draw_host(target: &Path) -> Outcome {
    let host = target.join("examples/kv-host");
    let output = Command::new("sh").args(["-c", "exec \"$0\" 2>&1"]).arg(host).output()?;
    let shown =
        String::from_utf8(output.stdout)?.replace(&*target.join("examples").to_string_lossy(), "/opt/kv");
    if !output.status.success() {
        return Err(shown.into());
    }
    let session = format!("$ ./kv-host\n{shown}");
    workspace::settle("docs/images/kv-host.svg", Term::new().render_svg(&session).as_bytes(), false).map(drop)
}

const PAGE: &str = "docs/cli.md";
const BEGIN: &str = "<!-- session: written by `cargo xtask picture` -->\n";
const END: &str = "<!-- /session -->";
