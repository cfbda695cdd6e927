//! What is enforced on a plugin, for people and as JSON.

use rpcplugin::{
    Plugin,
    sandbox::{Confinement, LayerState, Sandbox},
};
use serde::Serialize;

use super::{comparison::words, limit::Limit};
use crate::ui::{
    Out, Tree,
    style::{dim, good, warn},
};

/// The sandbox of a plugin, and what this system enforces of it.
#[derive(Debug, Serialize)]
pub(crate) struct SandboxFacts {
    /// Whether the system enforces all of the sandbox.
    pub(crate) full: bool,
    /// What the sandbox allows, as in a lock file.
    allow: Vec<String>,
    limits: Vec<String>,
    layers: Vec<LayerFacts>,
}

#[derive(Debug, Serialize)]
struct LayerFacts {
    layer: &'static str,
    /// `enforced`, `unrestricted` or `unavailable`.
    state: &'static str,
    /// What is missing for a layer that is unavailable.
    missing: Option<String>,
}

impl SandboxFacts {
    /// The facts of a running plugin. `None` if it has no sandbox.
    pub(crate) fn of_running(sandbox: Option<&Sandbox>, plugin: &Plugin) -> Option<Self> {
        Some(Self::of(sandbox?, plugin.confinement()?))
    }

    /// Prints one line on what is enforced, and a warning for each layer that is not.
    pub(crate) fn note(&self, out: &mut Out) {
        let of = |state: &str| {
            let layers = self.layers.iter().filter(|facts| facts.state == state);
            layers.map(|facts| facts.layer.replace('_', " ")).collect::<Vec<_>>().join(", ")
        };
        out.hint(&format!("{} {}", good("confined:"), of("enforced")));
        for LayerFacts { layer, missing, .. } in &self.layers {
            if let Some(why) = missing {
                out.hint(&warn(format_args!("not confined: {}: {why}", layer.replace('_', " "))));
            }
        }
    }

    pub(crate) fn of(sandbox: &Sandbox, confinement: &Confinement) -> Self {
        let layers = confinement.layers().map(|(layer, state)| LayerFacts {
            layer: layer.as_str(),
            state: state.as_str(),
            missing: match state {
                LayerState::Unavailable(why) => Some(why.to_string()),
                _ => None,
            },
        });
        Self {
            full: confinement.is_full(),
            allow: sandbox.capabilities(),
            limits: Limit::all_of(sandbox).iter().map(ToString::to_string).collect(),
            layers: layers.collect(),
        }
    }
}

/// Returns the sandbox as a tree: what the plugin may do, and each layer.
pub(crate) fn show_confinement(facts: &SandboxFacts) -> Tree {
    let mut tree = Tree::new("sandbox");
    let allowed: Vec<_> = facts.allow.iter().map(|line| words(line)).collect();
    tree.fact(
        "allows",
        if allowed.is_empty() { dim("nothing beyond the default") } else { allowed.join("\n") },
    );
    if !facts.limits.is_empty() {
        tree.fact("limits", facts.limits.join(", "));
    }
    for LayerFacts { layer, state, missing } in &facts.layers {
        let shown = match (*state, missing) {
            ("enforced", _) => good(state),
            (_, Some(why)) => warn(format_args!("{state}: {why}")),
            _ => dim(state),
        };
        tree.fact(layer.replace('_', " "), shown);
    }
    tree
}
