//! A plugin is inspected, called and checked with the program `rpcplugin`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::build::Built;
use super::entry::{Call, Speaks};
use super::process::{Ended, run};
use super::row::{Conformance, Row, Verdict};
use crate::workspace::Outcome;

/// A plugin, and how to launch it.
pub(super) struct Plugin<'a> {
    pub(super) rpcplugin: &'a Path,
    pub(super) built: &'a Built,
    pub(super) options: &'a [&'a str],
    pub(super) schema: &'a [&'a str],
    pub(super) arguments: &'a [&'a str],
}

impl Plugin<'_> {
    /// Fills the row with what is seen. An error is something else than expected.
    pub(super) fn drive(&self, speaks: &Speaks, row: &mut Row) -> Outcome {
        match speaks {
            Speaks::Refused(code) => {
                let ended = self.run("inspect", &["--json"], &[])?;
                let seen = ended.json()?["error"]["code"].take();
                if seen != *code || ended.status != 3 {
                    return Err(format!("inspect: exit code {} and {seen}", ended.status).into());
                }
                row.verdict = Verdict::Refused((*code).to_owned());
            }
            Speaks::Grpc(calls) => {
                row.protocol = Some(self.inspect()?);
                for call in *calls {
                    row.called.push(self.call(call)?);
                }
                row.conformance = Some(self.conformance()?);
                row.verdict = Verdict::Works;
            }
        }
        Ok(())
    }

    /// Returns the version of the application's protocol.
    fn inspect(&self) -> Outcome<u64> {
        let ended = self.run("inspect", &["--json"], &[])?;
        if ended.status != 0 {
            return Err(format!("inspect: {}", ended.last_words()).into());
        }
        let seen = ended.json()?;
        let expected = [
            ("health", seen["health"]["status"] == "SERVING"),
            ("AutoMTLS", seen["security"]["kind"] == "mutual"),
            ("unauthorized clients", seen["security"]["strangers"] == "refused"),
        ];
        if let Some((what, _)) = expected.iter().find(|(_, is_so)| !is_so) {
            return Err(
                format!("inspect: {what}: {} {}", seen["health"], seen["security"]["strangers"]).into()
            );
        }
        seen["protocol"]["app"].as_u64().ok_or_else(|| "inspect shows no version".into())
    }

    /// Makes a call, and returns how it ended.
    fn call(&self, call: &Call) -> Outcome<String> {
        let work = self.work()?;
        let mut before = vec![];
        for (service, responses) in call.serve {
            let file = format!("{service}.json");
            fs::write(work.join(&file), responses)?;
            before.extend(["--serve".to_owned(), format!("{service}={file}")]);
        }
        if call.is_script {
            fs::write(work.join("script.txt"), call.request)?;
            before.extend(["-f", "script.txt"].map(ToOwned::to_owned));
        } else {
            before.extend([call.method, "-d", call.request].map(ToOwned::to_owned));
        }
        let before: Vec<_> = before.iter().map(String::as_str).collect();
        let source = self.built.source.display().to_string();
        let schema: Vec<_> = self.schema.iter().map(|option| option.replace("{source}", &source)).collect();
        let options: Vec<_> = call.options.iter().copied().chain(schema.iter().map(String::as_str)).collect();
        let ended = self.run("call", &before, &options)?;
        let (is_expected, said) =
            if call.fails { (ended.status == 1, &ended.stderr) } else { (ended.status == 0, &ended.stdout) };
        if !is_expected || !said.contains(call.response) {
            let words = ended.last_words();
            return Err(format!("call {}: exit code {}: {words}", call.method, ended.status).into());
        }
        let methods: Vec<_> = call.method.split(' ').map(|method| format!("`{method}`")).collect();
        let back = call.serve.iter().map(|(service, _)| format!(", with `{service}` to call back"));
        let failed = if call.fails {
            format!(", which fails as expected: \"{}\"", call.response)
        } else {
            String::new()
        };
        let plain = if call.options.contains(&"--no-mtls") { ", without AutoMTLS" } else { "" };
        Ok(format!("{}{}{plain}{failed}", methods.join(", "), back.collect::<String>()))
    }

    fn conformance(&self) -> Outcome<Conformance> {
        let ended = self.run("conformance", &["--json", "--jobs", "2"], &[])?;
        let seen = ended.json().map_err(|why| format!("conformance: {why}: {}", ended.last_words()))?;
        let findings = seen["findings"].as_array().ok_or("conformance shows no findings")?;
        let failed = |level: &str| -> Vec<String> {
            let is_wanted = |one: &&Value| one["result"] == "fail" && one["level"] == level;
            let those = findings.iter().filter(is_wanted);
            those.filter_map(|finding| Some(finding["name"].as_str()?.to_owned())).collect()
        };
        let number = |name: &str| seen[name].as_u64().unwrap_or_default();
        let (failed, warned) = (failed("must"), failed("should"));
        if failed.len() as u64 != number("failed") || warned.len() as u64 != number("warnings") {
            return Err("the numbers of conformance are not those of its findings".into());
        }
        Ok(Conformance { passed: number("passed"), skipped: number("skipped"), failed, warned })
    }

    /// Runs a command with the plugin, in a directory in which some plugins write.
    fn run(&self, subcommand: &str, before: &[&str], options: &[&str]) -> Outcome<Ended> {
        let mut command = Command::new(self.rpcplugin);
        command.arg(subcommand).args(before).args(options).args(self.options);
        command.arg("--").arg(&self.built.program).args(self.arguments);
        run(command.current_dir(self.work()?), subcommand, &self.built.directory.join("logs"))
    }

    fn work(&self) -> Outcome<PathBuf> {
        let work = self.built.directory.join("work");
        fs::create_dir_all(&work)?;
        Ok(work)
    }
}
