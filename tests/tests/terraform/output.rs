//! The log and the output of the provider, as Terraform shows them.

use serde_json::json;

use super::workdir::{ADDRESS, Outcome, Workdir, same};

const LEVELS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

/// Each level shows records of this level and above, for each variable that sets the level.
pub(crate) fn levels(place: &Workdir) -> Outcome {
    let mut configuration = String::new();
    for level in LEVELS {
        configuration.push_str(&format!(
            "data \"demo_log\" \"{level}\" {{\n  level   = \"{level}\"\n  message = \"logged at {level}\"\n}}\n"
        ));
    }
    place.configure(&configuration)?;
    for variable in ["TF_LOG", "TF_LOG_PROVIDER"] {
        for (index, chosen) in LEVELS.iter().enumerate() {
            let upper = chosen.to_uppercase();
            place.set("TF_LOG", "");
            place.set(variable, &upper);
            let ended = place.start("plan")?.ended()?;
            for (other, level) in LEVELS.iter().enumerate() {
                let lines = ended.log.text.lines();
                let line =
                    lines.filter(|line| line.contains(&format!("logged at {level}: "))).collect::<Vec<_>>();
                same(
                    &format!("{variable}={upper}: lines at {level}"),
                    line.len(),
                    usize::from(other >= index),
                )?;
                let Some(line) = line.first() else { continue };
                for part in [
                    format!("[{}]", level.to_uppercase()),
                    "provider.terraform-provider-demo: ".to_owned(),
                    "answer=42".to_owned(),
                ] {
                    same(&format!("{line:?} has {part:?}"), line.contains(&part), true)?;
                }
            }
        }
    }
    Ok(())
}

/// Fields arrive with their types.
pub(crate) fn fields(place: &Workdir) -> Outcome {
    place.configure(
        "data \"demo_log\" \"l\" {\n  level   = \"warn\"\n  message = \"line\\nbreak, \\\"quotes\\\" and 🦀\"\n}\n",
    )?;
    let log = place.succeeds("plan")?.log;
    let record = log.plugin_record("line\nbreak, \"quotes\" and 🦀")?;
    same("level", &record["@level"], "warn")?;
    same("answer", &record["answer"], 42)?;
    same("nested", &record["nested"], &json!({ "a": [1, true, null] }))?;
    same("the call", &record["tf_rpc"], "read_data_source")?;
    let configured = log.plugin_record("provider configured")?;
    same("level", &configured["@level"], "info")?;
    same("Terraform sends its version", configured["terraform_version"].is_string(), true)
}

/// Output goes through the stdio service, and does not disturb the log.
pub(crate) fn stdio(place: &Workdir) -> Outcome {
    place.configure(
        "data \"demo_stdio\" \"s\" {\n  stdout = \"to stdout\\n\"\n  stderr = \"to stderr\\n\"\n}\noutput \"done\" {\n  value = data.demo_stdio.s.done\n}\n",
    )?;
    let log = place.succeeds("apply -auto-approve")?.log;
    same("done", place.output("done")?, true)?;
    for (name, text) in [("stdout", "to stdout"), ("stderr", "to stderr")] {
        let key = format!("{ADDRESS}:{name}");
        let chunks =
            log.with_message("unexpected data").into_iter().filter_map(|record| record[&key].as_str());
        same(name, chunks.collect::<String>(), text)?;
    }
    Ok(())
}
