//! The examples and exit codes of each command, for its help and its manual page.

use crate::exit::Exit;

/// What help and manual page of a command say beside its arguments.
#[derive(Debug)]
pub(crate) struct Page {
    /// The command's name as its manual page has it: `rpcplugin-attach-call`.
    pub(crate) name: &'static str,
    /// What an example does, and the line to type.
    pub(crate) examples: &'static [(&'static str, &'static str)],
    /// How the command can end.
    pub(crate) exits: &'static [Exit],
    /// Pages about what is near.
    pub(crate) see_also: &'static [&'static str],
}

/// Where the program is described at length.
pub(crate) const DOCUMENTATION: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/cli.md");

/// What is said of the command that has this manual page.
pub(crate) fn page(name: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.name == name)
}

const LOOKING: &[Exit] =
    &[Exit::Ok, Exit::Failed, Exit::Usage, Exit::NotStarted, Exit::Interrupted, Exit::ReaderGone];

const CALLING: &[Exit] = &[
    Exit::Ok,
    Exit::Failed,
    Exit::Usage,
    Exit::NotStarted,
    Exit::PluginExited,
    Exit::Interrupted,
    Exit::ReaderGone,
];

const EXAMINING: &[Exit] = &[Exit::Ok, Exit::Failed, Exit::Usage, Exit::Interrupted, Exit::ReaderGone];

const WRITING: &[Exit] = &[Exit::Ok, Exit::Failed, Exit::Usage, Exit::ReaderGone];

pub(crate) const PAGES: &[Page] = &[
    Page {
        name: "rpcplugin",
        examples: &[
            ("Find out why a plugin does not start", "rpcplugin doctor ./terraform-provider-demo"),
            ("Show what a plugin is and serves", "rpcplugin inspect --cookie KV=hello ./kv-plugin"),
            (
                "Call a method: first the method, then the plugin",
                "rpcplugin call Kv/Get -d '{\"key\":\"a\"}' --cookie KV=hello ./kv-plugin",
            ),
        ],
        exits: CALLING,
        see_also: &[],
    },
    Page {
        name: "rpcplugin-inspect",
        examples: &[
            ("A Terraform provider, known by its name", "rpcplugin inspect ./terraform-provider-demo"),
            (
                "A plugin whose own argument looks like a flag of this program",
                "rpcplugin inspect --cookie KV=hello -- ./kv-plugin --json",
            ),
            (
                "A plugin without reflection, in Python",
                "rpcplugin inspect --cookie KV=hello --proto kv.proto python3 kv.py",
            ),
            (
                "Only the names of its services",
                "rpcplugin inspect --json ./kv-plugin | jq '.services[].name'",
            ),
        ],
        exits: LOOKING,
        see_also: &["call", "attach", "doctor"],
    },
    Page {
        name: "rpcplugin-call",
        examples: &[
            (
                "First the method, then the plugin",
                "rpcplugin call Kv/Get -d '{\"key\":\"a\"}' --cookie KV=hello ./kv-plugin",
            ),
            (
                "The request from a file, with metadata and a deadline",
                "rpcplugin call Kv/Put -d @put.json -H 'trace: 7' --deadline 5s ./kv",
            ),
            (
                "A stream of requests from the standard input",
                "cat entries.json | rpcplugin call kv.v1.Kv/Sync ./kv-plugin",
            ),
        ],
        exits: CALLING,
        see_also: &["attach-call", "inspect"],
    },
    Page {
        name: "rpcplugin-run",
        examples: &[
            ("A provider for terraform, until Ctrl-C", "rpcplugin run --no-mtls ./terraform-provider-demo"),
            (
                "A plugin to attach to, with its host's key in a file",
                "rpcplugin run --handover kv.json --cookie KV=hello ./kv-plugin",
            ),
            ("Only warnings and errors of its log", "rpcplugin run --level warn ./terraform-provider-demo"),
        ],
        exits: CALLING,
        see_also: &["attach"],
    },
    Page {
        name: "rpcplugin-attach",
        examples: &[
            ("Show a plugin that `rpcplugin run --handover kv.json` keeps up", "rpcplugin attach kv.json"),
            (
                "Call one that listens without TLS",
                "rpcplugin attach unix:/tmp/kv.sock call Kv/Get -d '{\"key\":\"a\"}'",
            ),
            ("End it", "rpcplugin attach kv.json stop"),
        ],
        exits: LOOKING,
        see_also: &["run", "inspect"],
    },
    Page {
        name: "rpcplugin-attach-call",
        examples: &[
            (
                "Of a plugin that `rpcplugin run --handover kv.json` keeps up",
                "rpcplugin attach kv.json call Kv/Get -d '{\"key\":\"a\"}'",
            ),
            (
                "Of one without reflection, by its address",
                "rpcplugin attach 127.0.0.1:7000 call --proto kv.proto Kv/List",
            ),
        ],
        exits: CALLING,
        see_also: &["call"],
    },
    Page {
        name: "rpcplugin-attach-stop",
        examples: &[(
            "A plugin that `rpcplugin run --handover kv.json` keeps up",
            "rpcplugin attach kv.json stop",
        )],
        exits: LOOKING,
        see_also: &["run"],
    },
    Page {
        name: "rpcplugin-doctor",
        examples: &[
            ("A Terraform provider, known by its name", "rpcplugin doctor ./terraform-provider-demo"),
            (
                "A plugin in Python, with the cookie of its host",
                "rpcplugin doctor --cookie KV=hello python3 kv.py",
            ),
        ],
        exits: EXAMINING,
        see_also: &["conformance", "inspect"],
    },
    Page {
        name: "rpcplugin-conformance",
        examples: &[
            ("All checks", "rpcplugin conformance --cookie KV=hello ./kv-plugin"),
            (
                "Some of them, with a report for a CI server",
                "rpcplugin conformance --only mtls,stdio --junit out.xml ./kv-plugin",
            ),
            ("What is checked, and why", "rpcplugin conformance --list"),
        ],
        exits: LOOKING,
        see_also: &["doctor"],
    },
    Page {
        name: "rpcplugin-bench",
        examples: &[
            ("Ten launches, and calls for two seconds", "rpcplugin bench ./terraform-provider-demo"),
            ("More of each, as JSON", "rpcplugin bench --json --launches 100 --time 10s ./kv-plugin"),
        ],
        exits: LOOKING,
        see_also: &["inspect"],
    },
    Page {
        name: "rpcplugin-new",
        examples: &[
            ("A plugin and its host in ./my-weather", "rpcplugin new my-weather"),
            (
                "The same, upon a checkout of rpcplugin",
                "rpcplugin new --path-to-rpcplugin ../rpcplugin my-weather",
            ),
        ],
        exits: WRITING,
        see_also: &[],
    },
    Page {
        name: "rpcplugin-completions",
        examples: &[
            ("For zsh", "rpcplugin completions zsh > ~/.zfunc/_rpcplugin"),
            ("For this session of fish", "rpcplugin completions fish | source"),
        ],
        exits: WRITING,
        see_also: &["man"],
    },
    Page {
        name: "rpcplugin-man",
        examples: &[
            ("Read the page of the program", "rpcplugin man | man -l -"),
            ("Install the pages of all commands", "rpcplugin man --dir ~/.local/share/man/man1"),
        ],
        exits: WRITING,
        see_also: &["completions"],
    },
];
