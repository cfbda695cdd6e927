//! How much of its code each target runs, in lines.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{Counted, Target, system};
use crate::toolchain::rustup;
use crate::workspace::{Outcome, root, succeed};

/// Runs the seeds and what earlier runs have found, and prints and returns the lines that were reached, for each target.
pub(super) fn measure(targets: &[Target], built: &Path) -> Outcome<BTreeMap<String, Counted>> {
    let tools = llvm_tools()?;
    let built = built.join("coverage");
    let mut build = rustup("nightly", "cargo");
    build.args(["build", "--package", "rpcplugin-fuzzed", "--example", "replay", "--target-dir"]).arg(&built);
    succeed(build.env("RUSTFLAGS", "-Cinstrument-coverage"))?;
    let program = built.join("debug/examples/replay");
    println!("\n{:<20} {:>8} {:>8} {:>4}  code under test", "target", "reached", "lines", "%");
    let mut counted = BTreeMap::new();
    for target in targets {
        let (raw, profile) = (built.join("replay.profraw"), built.join("replay.profdata"));
        let mut replay = Command::new(&program);
        replay.arg(&target.name).args([target.folder("corpus")?, target.folder("seeds")?]);
        output(replay.env("LLVM_PROFILE_FILE", &raw))?;
        output(
            Command::new(tools.join("llvm-profdata")).args(["merge", "-sparse", "-o"]).args([&profile, &raw]),
        )?;
        let mut export = Command::new(tools.join("llvm-cov"));
        export.args(["export", "-summary-only", "-instr-profile"]).args([&profile, &program]);
        let report: Value = serde_json::from_slice(&output(&mut export)?)?;
        let (reached, all) = sum(&report, &root().join("crates"), &target.code);
        let percent = (reached * 100).checked_div(all).unwrap_or(0);
        println!("{:<20} {reached:>8} {all:>8} {percent:>4}  {}", target.name, target.code.join(", "));
        counted.insert(target.name.clone(), Counted { lines: Some((reached, all)), ..Counted::default() });
    }
    Ok(counted)
}

/// What a command has printed, if it succeeds.
fn output(command: &mut Command) -> Outcome<Vec<u8>> {
    let output = command.output()?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}

/// The lines that were reached, and all lines, in the code below `crates` that a target tests.
fn sum(report: &Value, crates: &Path, code: &[String]) -> (u64, u64) {
    let is_tested = |file: &Value| {
        let path = Path::new(file["filename"].as_str().unwrap_or_default());
        // Paths of included files go through other folders.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let Ok(path) = path.strip_prefix(crates) else { return false };
        let path = path.with_extension("");
        code.iter().any(|code| path.starts_with(code)) && !path.ends_with("tests")
    };
    let files = report["data"][0]["files"].as_array().into_iter().flatten().filter(|file| is_tested(file));
    files.fold((0, 0), |(reached, all), file| {
        let lines = |name: &str| file["summary"]["lines"][name].as_u64().unwrap_or(0);
        (reached + lines("covered"), all + lines("count"))
    })
}

/// The folder of LLVM's programs in the nightly toolchain.
fn llvm_tools() -> Outcome<PathBuf> {
    let output = rustup("nightly", "rustc").args(["--print", "sysroot"]).output()?;
    let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let tools = Path::new(&sysroot).join("lib/rustlib").join(system()?).join("bin");
    match fs::exists(tools.join("llvm-cov")) {
        Ok(true) => Ok(tools),
        _ => Err("llvm-cov is missing: rustup component add llvm-tools --toolchain nightly".into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_code_under_test_is_counted() {
        let file = |name: &str, count: u64, covered: u64| json!({ "filename": name, "summary": { "lines": { "count": count, "covered": covered } } });
        let files = [
            file("/w/crates/a/src/parser.rs", 10, 4),
            file("/w/crates/a/src/parser/line.rs", 20, 6),
            file("/w/crates/a/src/parser_of_more.rs", 100, 100),
            file("/w/crates/a/src/parser/tests.rs", 100, 100),
            file("/w/registry/a/src/parser.rs", 100, 100),
        ];
        let report = json!({ "data": [{ "files": files }] });
        assert_eq!(sum(&report, Path::new("/w/crates"), &["a/src/parser".to_owned()]), (10, 30));
    }
}
