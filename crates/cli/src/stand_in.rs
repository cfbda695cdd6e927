//! What programs have in common that hosts start in the place of a plugin, and that run the plugin.
//!
//! Such a program passes on what the host sends to the plugin and what the plugin prints, and it ends as the plugin does.

mod ends;
mod log;
mod output;
mod plugin_exit;

pub(crate) use self::{
    ends::{Ends, end_as, until_exit},
    log::log,
    output::{HandshakeLineHook, pass_on},
    plugin_exit::PluginExit,
};
