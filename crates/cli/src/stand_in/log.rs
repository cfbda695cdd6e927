//! The log of a program in the place of a plugin.

use rpcplugin::plugin::hclog_layer;
use tracing_subscriber::{
    Layer as _, filter::LevelFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Writes the log of this program as records on stderr, as plugins do. A full stderr does not block it.
pub(crate) fn log(module: &'static str) {
    // Without descriptors the program cannot work either, and reports that.
    if let Ok(layer) = hclog_layer() {
        let layer = layer.with_module(module).with_filter(LevelFilter::INFO);
        // This is the program's only subscriber.
        let _ = tracing_subscriber::registry().with(layer).try_init();
    }
}
