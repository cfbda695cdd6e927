//! The arguments that describe the calls to make.

use std::time::Duration;

use clap::Args;

use super::serve::{self, ServeOption};
use crate::{
    calls::{self, Header},
    ui::duration,
};

/// A method and its request.
#[derive(Debug, Args)]
pub(crate) struct MethodArgs {
    /// The method, as package.Service/Method. Package and service may be omitted if the name is unambiguous. With --script it is
    /// the file of the script, or - for stdin.
    #[arg(value_name = "SERVICE/METHOD")]
    pub(crate) method: String,
    /// Makes the calls of a script, which stands in the place of the method. Each line has a call: `[NAME =] SERVICE/METHOD [JSON]`.
    /// "${NAME.field}" in later JSON is a field of the response.
    #[arg(long = "script", short = 'f', conflicts_with = "data")]
    pub(crate) is_script: bool,
    /// Continues a script after a call that fails.
    #[arg(long, requires = "is_script")]
    pub(crate) keep_going: bool,
    /// The request as JSON, or @FILE. A request stream takes several JSON values one after the other. The default is stdin.
    #[arg(long, short = 'd', value_name = "JSON")]
    pub(crate) data: Option<String>,
    /// Serves a service that the plugin calls back, with the responses of a JSON file: {"METHOD": RESPONSE}. "${serve.SERVICE}" in the
    /// request is its broker id.
    #[arg(long, value_name = "SERVICE=FILE", value_parser = serve::parse)]
    pub(crate) serve: Vec<ServeOption>,
    /// Sends metadata. The value is base64 if the name ends in -bin.
    #[arg(long, short = 'H', value_name = "NAME: VALUE", value_parser = calls::parse)]
    pub(crate) header: Vec<Header>,
    /// The timeout of the call, such as 5s.
    #[arg(long, value_name = "TIME", value_parser = duration::limit)]
    pub(crate) deadline: Option<Duration>,
    /// Shows fields with their default value.
    #[arg(long)]
    pub(crate) emit_defaults: bool,
    /// Shows the metadata of the response on stderr.
    #[arg(long)]
    pub(crate) show_metadata: bool,
}
