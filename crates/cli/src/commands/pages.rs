//! The examples and exit codes of each command, for its help and its manual page.

use crate::exit::Exit;

/// What the help and the manual page of a command have beside its arguments.
#[derive(Debug)]
pub(crate) struct Page {
    /// The name of the manual page, such as `rpcplugin-attach-call`.
    pub(crate) name: &'static str,
    /// Examples: the purpose, and the line to type.
    pub(crate) examples: &'static [(&'static str, &'static str)],
    /// The exit codes of the command.
    pub(crate) exits: &'static [Exit],
    /// Related pages.
    pub(crate) see_also: &'static [&'static str],
}

/// The address of the documentation.
pub(crate) const DOCUMENTATION: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/cli.md");

/// Returns the page with this name.
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
            ("Show a plugin's properties and services", "rpcplugin inspect --cookie KV=hello ./kv-plugin"),
            (
                "Call a method: the method comes before the plugin",
                "rpcplugin call Kv/Get -d '{\"key\":\"a\"}' --cookie KV=hello ./kv-plugin",
            ),
        ],
        exits: CALLING,
        see_also: &[],
    },
    Page {
        name: "rpcplugin-inspect",
        examples: &[
            ("A Terraform provider, recognized by its name", "rpcplugin inspect ./terraform-provider-demo"),
            (
                "A plugin with an argument that looks like a flag of this program",
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
        see_also: &["call", "attach", "discover", "doctor"],
    },
    Page {
        name: "rpcplugin-call",
        examples: &[
            (
                "The method comes before the plugin",
                "rpcplugin call Kv/Get -d '{\"key\":\"a\"}' --cookie KV=hello ./kv-plugin",
            ),
            (
                "The request from a file, with metadata and a deadline",
                "rpcplugin call Kv/Put -d @put.json -H 'trace: 7' --deadline 5s ./kv",
            ),
            (
                "A stream of requests from stdin",
                "cat entries.json | rpcplugin call kv.v1.Kv/Sync ./kv-plugin",
            ),
            (
                "Several calls, one in each line of a file",
                "rpcplugin call -f kv.txt --cookie KV=hello ./kv-plugin",
            ),
            (
                "A plugin that calls back: responses from a file",
                "rpcplugin call Kv/Put -d @put.json --serve AddHelper=add.json ./kv",
            ),
        ],
        exits: CALLING,
        see_also: &["attach-call", "inspect"],
    },
    Page {
        name: "rpcplugin-run",
        examples: &[
            ("A provider for Terraform, until Ctrl-C", "rpcplugin run --no-mtls ./terraform-provider-demo"),
            (
                "A plugin to attach to, with the host's key in a file",
                "rpcplugin run --handover kv.json --cookie KV=hello ./kv-plugin",
            ),
            ("Only warnings and errors of the log", "rpcplugin run --level warn ./terraform-provider-demo"),
            (
                "In a view of the terminal, with keys",
                "rpcplugin run --ui --no-mtls ./terraform-provider-demo",
            ),
            (
                "Confined: it may read one directory",
                "rpcplugin run --sandbox --allow-read ./data ./kv-plugin",
            ),
            ("Find out what a plugin needs", "rpcplugin run --sandbox --trace-access ./kv-plugin"),
        ],
        exits: CALLING,
        see_also: &["attach", "trust"],
    },
    Page {
        name: "rpcplugin-attach",
        examples: &[
            ("Show a plugin that `rpcplugin run --handover kv.json` runs", "rpcplugin attach kv.json"),
            (
                "Call a plugin that listens without TLS",
                "rpcplugin attach unix:/tmp/kv.sock call Kv/Get -d '{\"key\":\"a\"}'",
            ),
            (
                "A plugin that was started by hand, by its handshake line",
                "rpcplugin attach '1|1|unix|/tmp/plugin4711|grpc|'",
            ),
            ("Shut it down", "rpcplugin attach kv.json stop"),
        ],
        exits: LOOKING,
        see_also: &["run", "inspect"],
    },
    Page {
        name: "rpcplugin-attach-call",
        examples: &[
            (
                "A plugin that `rpcplugin run --handover kv.json` runs",
                "rpcplugin attach kv.json call Kv/Get -d '{\"key\":\"a\"}'",
            ),
            (
                "A plugin without reflection, by its address",
                "rpcplugin attach 127.0.0.1:7000 call --proto kv.proto Kv/List",
            ),
        ],
        exits: CALLING,
        see_also: &["call"],
    },
    Page {
        name: "rpcplugin-attach-stop",
        examples: &[(
            "A plugin that `rpcplugin run --handover kv.json` runs",
            "rpcplugin attach kv.json stop",
        )],
        exits: LOOKING,
        see_also: &["run"],
    },
    Page {
        name: "rpcplugin-discover",
        examples: &[
            ("Every file in a directory", "rpcplugin discover /usr/lib/my-app/plugins"),
            (
                "Only the versions of the plugins",
                "rpcplugin discover --json . | jq '.plugins[].metadata.version'",
            ),
            ("Only some files", "rpcplugin discover --glob 'terraform-provider-*' ."),
        ],
        exits: EXAMINING,
        see_also: &["inspect"],
    },
    Page {
        name: "rpcplugin-doctor",
        examples: &[
            ("A Terraform provider, recognized by its name", "rpcplugin doctor ./terraform-provider-demo"),
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
                "Some checks, with a report for a CI server",
                "rpcplugin conformance --only mtls,stdio --junit out.xml ./kv-plugin",
            ),
            ("The list of checks, with their rules", "rpcplugin conformance --list"),
        ],
        exits: LOOKING,
        see_also: &["doctor"],
    },
    Page {
        name: "rpcplugin-bench",
        examples: &[
            ("Ten launches, and calls for two seconds", "rpcplugin bench ./terraform-provider-demo"),
            (
                "More launches and calls, as JSON",
                "rpcplugin bench --json --launches 100 --time 10s ./kv-plugin",
            ),
        ],
        exits: LOOKING,
        see_also: &["inspect"],
    },
    Page {
        name: "rpcplugin-bridge",
        examples: &[
            ("A plugin in Go, on any port of this machine", "rpcplugin bridge -- ./go-plugin --verbose"),
            (
                "In a pod: the port is fixed, and hosts connect to the pod's address",
                "rpcplugin bridge --listen 0.0.0.0:7400 --announce 10.0.0.7 -- ./kv",
            ),
            (
                "Behind `ssh -L 7400:127.0.0.1:7400`: both sides have the same address",
                "rpcplugin bridge --listen 127.0.0.1:7400 -- /opt/kv/kv-plugin",
            ),
        ],
        exits: &[Exit::Ok, Exit::Usage, Exit::NotStarted],
        see_also: &["run", "conformance"],
    },
    Page {
        name: "rpcplugin-tap",
        examples: &[
            (
                "Shows a conversation in a terminal, if a host starts this line",
                "rpcplugin tap --output /dev/tty -- ./kv-plugin",
            ),
            (
                "One method, with its texts, as JSON in a file",
                "rpcplugin tap --json --only Get --show-values -o tap.jsonl -- ./kv",
            ),
        ],
        exits: &[Exit::Ok, Exit::Usage, Exit::NotStarted],
        see_also: &["replay", "bridge", "doctor"],
    },
    Page {
        name: "rpcplugin-replay",
        examples: &[
            ("Record what a host asks", "rpcplugin tap --record kv.jsonl -- ./kv-plugin"),
            (
                "Ask the next version of the plugin the same",
                "rpcplugin replay kv.jsonl --cookie KV=hello ./kv-plugin-2",
            ),
        ],
        exits: LOOKING,
        see_also: &["tap", "call"],
    },
    Page {
        name: "rpcplugin-tap-install",
        examples: &[(
            "A provider of Terraform, which `dev_overrides` names",
            "rpcplugin tap install -o /tmp/tap.txt ./bin/terraform-provider-demo",
        )],
        exits: WRITING,
        see_also: &["tap", "tap-uninstall"],
    },
    Page {
        name: "rpcplugin-tap-uninstall",
        examples: &[(
            "The provider is itself again",
            "rpcplugin tap uninstall ./bin/terraform-provider-demo",
        )],
        exits: WRITING,
        see_also: &["tap", "tap-install"],
    },
    Page {
        name: "rpcplugin-trust",
        examples: &[
            (
                "A plugin that may read one directory, in ./rpcplugin.lock",
                "rpcplugin trust --sandbox --allow-read ./data ./kv-plugin",
            ),
            ("Launch it with what was granted", "rpcplugin run --locked ./kv-plugin"),
            ("Without a question, in a script", "rpcplugin trust --yes --sandbox ./kv-plugin"),
            ("Whether all trusted plugins are unchanged", "rpcplugin trust --check"),
        ],
        exits: LOOKING,
        see_also: &["run", "doctor"],
    },
    Page {
        name: "rpcplugin-new",
        examples: &[
            ("A plugin and its host in ./my-weather", "rpcplugin new my-weather"),
            ("The same in this directory, without a git repository", "rpcplugin new --vcs none ."),
            ("With a checkout of rpcplugin", "rpcplugin new --path-to-rpcplugin ../rpcplugin my-weather"),
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
            ("Read the page of rpcplugin", "rpcplugin man | man -l -"),
            ("Install the pages of all commands", "rpcplugin man --dir ~/.local/share/man/man1"),
        ],
        exits: WRITING,
        see_also: &["completions"],
    },
];
