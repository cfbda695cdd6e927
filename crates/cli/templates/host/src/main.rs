//! Greets a person with a plugin: `__name__-host PLUGIN [NAME]`.

use miette::{Result, miette};

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let Some(plugin) = args.next() else {
        let help = "__name__-host PLUGIN [NAME]";
        return Err(miette!(help = help, "the plugin is missing"));
    };
    let name = args.next().unwrap_or_else(|| "World".to_owned());
    println!("{}", __snake___host::greet(plugin, &name).await?);
    Ok(())
}
