//! Steps that run beside all others: they only compile, in target directories of their own, while tests wait.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::process::{Child, Command, Stdio};

use super::{Options, Step, Verdict};

/// Starts the steps that may run beside the others, with the lowest priority. Their turn in the order becomes the wait for
/// their end. A single step runs by itself.
pub(super) fn begin(steps: Vec<Step>, options: &Options) -> Vec<Step> {
    if cfg!(not(unix)) || options.only.is_some() {
        return steps;
    }
    steps.into_iter().map(|step| if step.is_beside { begun(step) } else { step }).collect()
}

fn begun(step: Step) -> Step {
    let Step { name, reproduce, needed, .. } = step;
    if let Err(why) = needed.map_or(Ok(()), |needed| needed()) {
        return Step::new(name, reproduce, || Verdict::Skipped(why));
    }
    match start(name) {
        Ok((child, printed)) => Step::new(name, reproduce, || wait(child, printed)),
        Err(why) => Step::new(name, reproduce, move || Verdict::Fail(format!("not started: {why}"))),
    }
}

/// Starts `cargo xtask ci --only NAME`, which prints to a file.
fn start(name: &str) -> io::Result<(Child, File)> {
    let printed = tempfile::tempfile()?;
    let mut xtask = Command::new("nice");
    xtask.args(["-n", "19"]).arg(std::env::current_exe()?).args(["ci", "--only", name]);
    let child =
        xtask.stdin(Stdio::null()).stdout(printed.try_clone()?).stderr(printed.try_clone()?).spawn()?;
    Ok((child, printed))
}

/// Waits for the end, and prints all that was printed.
fn wait(mut child: Child, mut printed: File) -> Verdict {
    let status = child.wait();
    let mut text = Vec::new();
    let read = printed.rewind().and_then(|()| printed.read_to_end(&mut text));
    println!("{}", String::from_utf8_lossy(&text));
    match (status, read) {
        (Ok(status), Ok(_)) if status.success() => Verdict::Pass,
        (Ok(status), Ok(_)) => Verdict::Fail(status.to_string()),
        (Err(why), _) | (_, Err(why)) => Verdict::Fail(why.to_string()),
    }
}
